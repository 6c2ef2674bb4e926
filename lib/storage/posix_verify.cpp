// PosixVerify: verification and dump of a directory of this machine, opened for reading only.
#include "storage/dump.hpp"
#include "storage/posix_file_system.hpp"
#include "storage/verify.hpp"

namespace zabmq::storage {

VerifyReport verify_directory(const std::string& path) {
  PosixFileSystem fs(path, PosixFileSystem::Access::read_only);
  return verify(fs);
}

VerifyReport dump_directory(const std::string& path, DumpReader& reader) {
  PosixFileSystem fs(path, PosixFileSystem::Access::read_only);
  return dump(fs, reader);
}

}  // namespace zabmq::storage
