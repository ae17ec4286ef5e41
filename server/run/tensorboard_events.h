// The bytes of TensorBoard's event files: records of TensorFlow's format
// "TFRecord", each a protocol buffer `Event` (tensorflow/core/util/event.proto,
// framework/summary.proto). Written by hand: there are five kinds of events.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mdgan::tensorboard {

// When something happened: seconds since 1970 (UTC), and the round.
struct Moment {
  double wall_time = 0;
  std::uint64_t step = 0;
};

struct Scalar {
  std::string_view tag;
  double value = 0;
};

// The first record of a file.
std::string version_event(double wall_time);
// The run goes on: what readers have of `step` and later steps is void.
std::string start_event(const Moment& moment);
// Values that are not finite are left out.
std::string scalars_event(const Moment& moment,
                          const std::vector<Scalar>& scalars);
// A PNG file's bytes; empty where they are none, of at most 16 MiB.
std::string image_event(const Moment& moment, std::string_view tag,
                        std::string_view png);

// The event as a record: its length, it, and a masked CRC-32C of each.
std::string record(std::string_view event);

// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
std::uint32_t crc32c(std::string_view bytes);

}  // namespace mdgan::tensorboard
