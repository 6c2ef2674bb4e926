// MsgpackWriter: over msgpack-c's packer.
#include "wire/msgpack_writer.hpp"

#include <msgpack.hpp>

#include "wire/msgpack_sink.hpp"

namespace zabmq::wire {

void MsgpackWriter::array(std::size_t count) {
  MsgpackSink sink{out_};
  msgpack::packer<MsgpackSink>(sink).pack_array(static_cast<std::uint32_t>(count));
}

void MsgpackWriter::number(std::uint64_t value) {
  MsgpackSink sink{out_};
  msgpack::packer<MsgpackSink>(sink).pack_uint64(value);
}

void MsgpackWriter::binary(Bytes bytes) {
  MsgpackSink sink{out_};
  msgpack::packer<MsgpackSink> packer(sink);
  packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
  packer.pack_bin_body(reinterpret_cast<const char*>(bytes.data()),
                       static_cast<std::uint32_t>(bytes.size()));
}

}  // namespace zabmq::wire
