// Mutant catalogue: every mutant, what it does, and whose bug it repeats.
//
// A mutant must work: without faults it elects, commits and delivers everything. M1 to M24 are the
// list that docs/testing.md goes through; `zab.md 6` is its last paragraph there.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

// clang-format off
#define ZABMQ_ALL_MUTANTS(M) \
  M(ack_before_fsync, "A group of records counts as durable once it is in the page cache.",       \
    "M1; NATS 2.12")                                                                              \
  M(fsync_retried, "A sync that failed is tried again, and the second one is believed.",          \
    "M11; fsyncgate, ZOOKEEPER-4882")                                                             \
  M(last_write_not_synced, "After a start, what stands in the page cache counts without a sync.", \
    "M11; fsyncgate")                                                                             \
  M(roll_not_synced, "What fills a segment is not synced: the next segment is.",                  \
    "zab.md 6, segment roll without sync")                                                        \
  M(segment_directory_not_synced, "A new segment counts without its directory entry.",            \
    "M12; jzab J5, J8")                                                                           \
  M(identity_not_synced, "The identity record is renamed into place without a sync.",             \
    "zab.md 6; ZOOKEEPER-1653")                                                                   \
  M(identity_directory_not_synced, "The identity record's rename is not synced.",                 \
    "M12; ZooKeeper's AtomicFileOutputStream")                                                    \
  M(corruption_taken_for_torn, "A bad record in front of good ones ends the history.",            \
    "M10; LogCabin and ZooKeeper in PAR/CTRL")                                                    \
  M(body_not_checked, "At start a record counts whatever its body is, zeros too.", "M21")         \
  M(mark_says_too_much, "Marks tell as delivered what is only durable.",                          \
    "ZOOKEEPER-1549: state ahead of commits")                                                     \
  M(offset_kept_over_trunc, "Behind a cut, offsets go on from the records that were cut.",        \
    "ZOOKEEPER-5094, 1489")                                                                       \
  M(switch_before_tail, "A SNAP takes the place of the old history before its tail is durable.",  \
    "M4; jzab J7, ZOOKEEPER-3104")                                                                \
  M(snapshot_without_publishers, "A snapshot of the server state leaves the publishers out.",     \
    "M13; session table not in the snapshot")                                                     \
  M(gap_skipped, "A start below what is retained begins at the first that is there.",             \
    "M17; etcd 8668, a silent skip")                                                              \
  M(cursor_not_asked, "A start with a cursor believes the server it came to.",                    \
    "stale reads at followers; etcd before 3.1")                                                  \
  M(cursor_answered_early, "A cursor's move is answered before it is committed.",                 \
    "M1's like, for the state beside the log")                                                    \
  M(cursors_hold_nothing, "Retention does not wait for cursors.", "JetStream's interest policy")  \
  M(cursors_hold_for_ever, "What a cursor holds stays above the hard bound as well.", "W11")       \
  M(vote_by_delivered, "Votes tell the last delivered zxid, not the last durable one.",           \
    "zab.md 6; ZOOKEEPER-2845")                                                                   \
  M(ack_e_before_promise, "ACK-E leaves before acceptedEpoch is durable.", "ZOOKEEPER-335")       \
  M(new_epoch_before_promise,                                                                     \
    "NEWEPOCH leaves before the leader's own acceptedEpoch is durable.",                          \
    "zab.md 1.10")                                                                                \
  M(repeated_promise_counts, "A second ACK-E for one epoch counts as well.",                      \
    "jzab J11")                                                                                   \
  M(epoch_of_a_promise, "A new epoch may be one that somebody has promised before.",              \
    "zab.md 6, > for >=; ZOOKEEPER-1343")                                                         \
  M(never_renounces, "A leader never gives way to a voter that promised a later epoch.",          \
    "zab.md 1.9")                                                                                 \
  M(wait_set_wrong, "I_e' is fixed when a quorum sent CEPOCH, not ACK-E.",                        \
    "zab.md 6; ZOOKEEPER-1192")                                                                   \
  M(wiped_server_votes, "A wiped server calls itself a voter.", "M19; ZOOKEEPER-261")             \
  M(wiped_server_counts, "A wiped server's answers count in quorums.",                            \
    "M19; zab.md 6, observer counted")                                                            \
  M(admitted_at_ack_ld, "A wiped server counts as soon as it has sent ACK-LD.",                   \
    "M19; admit of design 5")                                                                     \
  M(admit_by_itself, "A wiped server's answers count for its own admit.", "M19; zab.md 6")        \
  M(admitted_before_mark, "ADMITTED leaves before the standing `voter` is durable.",              \
    "M19; a crash takes the mark back")                                                           \
  M(admit_of_older_epoch, "An admit of an older epoch is taken, too.",                            \
    "M19; promises made since are forgotten")                                                     \
  M(admit_of_older_life, "An admit of the directory before this one is taken, too.",              \
    "M19; wiped twice")                                                                           \
  M(old_copy_unnoticed, "An old copy of a directory goes on as a voter.",                         \
    "M19; restored from a backup")                                                                \
  M(quorum_is_half, "Half of an even number of voters is a quorum.", "the oldest one")            \
  M(common_point_by_zxid, "The common point is the lesser of the two last zxids.",                \
    "M6; ZOOKEEPER-1154, 3526")                                                                   \
  M(trunc_one_too_many, "TRUNC cuts one transaction too many.", "zab.md 6; ZOOKEEPER-1156")       \
  M(new_leader_before_diff, "NEWLEADER overtakes the records of its DIFF.",                       \
    "zab.md 6; ZOOKEEPER-2355, 3104")                                                             \
  M(cold_range_skipped, "DIFF leaves out older epochs that are not in the tail cache.",           \
    "M5; ZOOKEEPER-4925")                                                                         \
  M(ack_ld_before_history, "ACK-LD leaves before the history is durable.",                        \
    "M2; ZOOKEEPER-3911, 4646")                                                                   \
  M(epoch_before_history, "currentEpoch is written before the history is durable.",               \
    "M3; ZOOKEEPER-4643")                                                                         \
  M(leader_epoch_not_durable, "The leader counts its own ACK-LD before currentEpoch is durable.", \
    "zab.md 1.10")                                                                                \
  M(ack_ld_covers_all_sent, "ACK-LD counts as ACK of records behind its NEWLEADER.",              \
    "ZOOKEEPER-4685")                                                                             \
  M(progress_counts_as_ack, "Records count before ACK-LD.", "ZOOKEEPER-4685; a bug of our own")   \
  M(propose_to_acked_only, "PROPOSE skips learners that have not sent ACK-LD.",                   \
    "M7; TLA+ issue 1")                                                                           \
  M(up_to_date_with_old_commit,                                                                   \
    "UPTODATE tells the commit point of the ACK-LD, no heartbeat a later one.",                   \
    "M8; TLA+ issue 3")                                                                           \
  M(up_to_date_commits_all, "UPTODATE commits everything the learner was sent.",                  \
    "ZOOKEEPER-1549")                                                                             \
  M(ack_of_received, "ACK tells the last record received.", "zab.md 6, cumulative ack; jzab J1")  \
  M(leader_counts_unsynced, "The leader counts its own records before they are durable.",         \
    "zab.md 1.10")                                                                                \
  M(commit_old_epoch_by_counting, "Records of older epochs are committed by counting.", "M9")     \
  M(commit_beyond_session, "PROPOSE of an older epoch tells a commit point beyond its session.",  \
    "scenario 61")                                                                                \
  M(follower_delivers_uncommitted, "A follower delivers what is durable here.",                   \
    "Integrity, Total order")                                                                     \
  M(delivered_before_durable, "A server delivers what is committed but not durable here.",        \
    "ladder of zab.md 2; ZOOKEEPER-2845")                                                         \
  M(zombie_leader, "A leader leads on, paused or without a quorum.", "M18; ZOOKEEPER-1699")       \
  M(stuck_disk_leads_on, "A leader whose disk is stuck goes on with heartbeats.",                 \
    "ZOOKEEPER-2247")                                                                             \
  M(end_without_quorum_round, "The leader answers where the end is without asking a quorum.",     \
    "zab.md 6; ZOOKEEPER-1675")                                                                   \
  M(session_gap_ignored, "A frame is missing in a session, the next one is taken.",               \
    "M23; ZeroMQ's high-water mark")                                                              \
  M(stale_session_accepted, "Frames of an older session are taken into the new one.",             \
    "zab.md 6, skip session check")                                                               \
  M(receipt_before_commit, "A receipt says durable when only the leader's disk has it.",          \
    "Redis, asynchronous replication")                                                            \
  M(proposes_before_delivering, "A new leader proposes before it has delivered I_e'.",            \
    "primary integrity; scenario 112")                                                            \
  M(in_flight_not_deduplicated,                                                                   \
    "A batch sent again while its first copy is in flight is appended.",                          \
    "Redpanda 21.10")                                                                             \
  M(dedup_lost_at_restart, "A restarted server has forgotten what publishers were taken at.",     \
    "M13, without snapshots")                                                                     \
  M(hole_accepted, "A batch is taken though the one before it is missing.",                       \
    "F2 of reliability.md 3.3")                                                                   \
  M(fencing_ignored, "An older instance of a publisher may go on.", "zombie producers")           \
  M(unknown_outcome_told_as_no, "A leader that steps down calls its proposals refused.",          \
    "R1 of reliability.md 3.3")                                                                   \
  M(log_time_goes_back, "Log time is the new leader's clock, whatever stands before.",            \
    "clock skew")                                                                                 \
  M(end_not_asked, "A server tells its own end for the cluster's.", "etcd 20418")                 \
  M(future_start_served, "A start beyond the end is served from the end.", "M14; etcd 20221")     \
  M(covered_ahead_of_stream, "COVERED tells more than was sent.", "M15; etcd 15220")              \
  M(full_link_drops, "What still does not fit into a slow subscriber's link is dropped.",         \
    "M16; etcd 17529, PUB")                                                                       \
  M(cold_read_skips, "A subscriber that falls out of the tail cache loses a record.",             \
    "etcd 18089")                                                                                 \
  M(full_disk_ignored, "A leader proposes on, though its disk has no space.",                     \
    "promise 7")                                                                                  \
  M(window_ignored, "A learner is sent more than it reports durable, without end.",               \
    "W11")                                                                                        \
  M(in_flight_ignored, "The leader takes batches without end while none is committed.",           \
    "W11; scenario 70")                                                                           \
  M(answers_without_end, "Answers to a client that does not read are held without end.", "W11")   \
  M(receipts_without_end, "More batches of a publisher are in flight than receipts are kept.",    \
    "W11")                                                                                        \
  M(publishers_without_end, "The table of publishers grows beyond its bound.", "W11")             \
  M(closed_publisher_stays, "A publisher that was closed keeps its place.", "W10")                \
  M(instances_begin_anew, "A publisher that was closed may be opened as an instance of before.",  \
    "zombie producers")                                                                           \
  M(removed_cursor_stays, "A durable cursor that was removed goes on holding.", "W10")            \
  M(idle_publishers_stay,                                                                         \
    "Publishers that have expired keep their places until something is proposed.",                \
    "a bug of our own")                                                                           \
  M(verdict_without_round, "What is believed for good is told by whoever believes to lead.",       \
    "found by 25 minutes of zabmq-nemesis")                                                       \
  M(mark_cut_by_chunk, "A cold read whose chunk ends inside a mark takes it for damage.",         \
    "a bug of our own")                                                                           \
  M(cold_reads_without_end, "Every subscription reads from the disk at once.", "W11")             \
  M(deadline_ignored, "A publish without an answer is never given up.", "promise 6")              \
  M(retry_deadline_ignored, "A retry without an answer is never given up.", "promise 6")          \
  M(lost_answer_told_as_no, "A publish without an answer counts as refused.",                     \
    "Jepsen: indefinite taken for failed")
// clang-format on

namespace zabmq::mutants {

#define ZABMQ_MUTANT_ID(name, what, whose) name,
enum class Id : std::uint8_t { none, ZABMQ_ALL_MUTANTS(ZABMQ_MUTANT_ID) };
#undef ZABMQ_MUTANT_ID

struct Mutant {
  Id id = Id::none;
  std::string_view name;
  std::string_view what;   // it does
  std::string_view whose;  // bug it repeats
};

#define ZABMQ_MUTANT_ROW(name, what, whose) Mutant{Id::name, #name, what, whose},
inline constexpr std::array catalogue{ZABMQ_ALL_MUTANTS(ZABMQ_MUTANT_ROW)};
#undef ZABMQ_MUTANT_ROW

#ifdef ZABMQ_MUTANTS
inline constexpr bool built_in = true;
inline Id chosen = Id::none;  // set once, before anything runs
#else
inline constexpr bool built_in = false;
#endif

// False: there is no such mutant, or none in this build.
inline bool choose([[maybe_unused]] std::string_view name) {
#ifdef ZABMQ_MUTANTS
  const auto found = std::find_if(catalogue.begin(), catalogue.end(),
                                  [name](const Mutant& m) { return m.name == name; });
  if (found == catalogue.end()) return false;
  chosen = found->id;
  return true;
#else
  return false;
#endif
}

}  // namespace zabmq::mutants
