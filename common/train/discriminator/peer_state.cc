#include "common/train/discriminator/peer_state.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <string_view>

#include "common/tensor/floats.h"

namespace mdgan {
namespace {

Error wrong_state(std::string_view what, std::string_view problem) {
  return {fmt::format("the discriminator's or replica's {} {}; it was refused",
                      what, problem),
          ExitCode::kCheckpoint};
}

Result<void> check_values(std::string_view what, const Blob& blob,
                          std::uint64_t parameters) {
  const auto& [dtype, dims] = blob.meta;
  if (dtype != protocol::DType::kFloat32 || dims.size() != 1 ||
      dims[0] != parameters || blob.bytes.size() != parameters * sizeof(float))
    return wrong_state(
        what,
        fmt::format("are {} bytes of shape [{}], and should be "
                    "{} float32 values",
                    blob.bytes.size(), fmt::join(dims, ", "), parameters));
  if (!is_finite(blob)) return wrong_state(what, "hold NaN or infinity");
  return {};
}

}  // namespace

Result<void> validate_state(const PeerState& state, std::uint64_t parameters,
                            std::uint64_t most_steps) {
  if (auto fits = check_values("parameters", state.parameters, parameters);
      !fits)
    return fits;
  if (state.first_moment.empty() && state.second_moment.empty()) return {};
  if (auto fits = check_values("first moments", state.first_moment, parameters);
      !fits)
    return fits;
  if (auto fits =
          check_values("second moments", state.second_moment, parameters);
      !fits)
    return fits;
  if (has_negative(state.second_moment))
    return wrong_state("second moments", "hold a negative value");
  if (state.adam_steps > most_steps)
    return wrong_state("optimiser steps", "are beyond any run's length");
  return {};
}

}  // namespace mdgan
