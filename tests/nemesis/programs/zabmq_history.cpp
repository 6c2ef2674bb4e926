// zabmq-history: checks the recorded history of a run. Exit 0: complete, and no violation.
#include <cstdio>
#include <exception>

#include "nemesis/engine/history_file.hpp"
#include "nemesis/engine/verdict.hpp"

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: zabmq-history DIRECTORY   (with *.history files)\n");
    return 1;
  }
  try {
    const zabmq::nemesis::Judgement judgement = zabmq::nemesis::judge(words[1]);
    zabmq::nemesis::print_history(judgement);
    const bool good = judgement.checker.clean();
    std::printf("history: %s\n", good ? "the promises hold" : "violated");
    return good ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("history: %s\n", error.what());
    return 1;
  }
}
