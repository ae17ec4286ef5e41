// A round's messages: envelopes to bytes and back, frames, and the way through
// ZeroMQ. The payloads are those of MNIST and of 32x32 colour images, b = 10.

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "common/net/channel.h"
#include "common/net/receiver.h"
#include "common/tensor/blob.h"
#include "protocol/codec.h"
#include "protocol/frames.h"
#include "tests/bench/startup.h"

namespace mdgan::bench {
namespace {

using protocol::Message;
using protocol::TensorMeta;

struct Parcel {
  std::string name;
  Message message;
  std::vector<Blob> tensors;
};

Blob zeros(std::vector<std::uint64_t> dims) {
  TensorMeta meta{protocol::DType::kFloat32, std::move(dims)};
  const std::vector<std::byte> bytes(or_exit(protocol::byte_size(meta)));
  return copy_blob(std::move(meta), bytes);
}

std::vector<TensorMeta> metas_of(const std::vector<Blob>& tensors) {
  std::vector<TensorMeta> metas;
  for (const Blob& tensor : tensors) metas.push_back(tensor.meta);
  return metas;
}

Parcel batch(std::string name, const std::vector<std::uint64_t>& dims) {
  Parcel parcel{"batch-" + std::move(name), {}, {zeros(dims)}};
  protocol::Batch body;
  body.index = 1;
  body.tensors = metas_of(parcel.tensors);
  parcel.message.round = Round{12'345};
  parcel.message.body = std::move(body);
  return parcel;
}

Parcel feedback(std::string name, const std::vector<std::uint64_t>& dims) {
  Parcel parcel{
      "feedback-" + std::move(name), {}, {zeros(dims), zeros({dims[0]})}};
  protocol::Feedback body;
  body.tensors = metas_of(parcel.tensors);
  parcel.message.round = Round{12'345};
  parcel.message.body = std::move(body);
  return parcel;
}

std::vector<Parcel> parcels() {
  const std::vector<std::uint64_t> mnist{10, 1, 28, 28}, colour{10, 3, 32, 32};
  return {batch("mnist", mnist), feedback("mnist", mnist),
          batch("colour", colour), feedback("colour", colour)};
}

void encode(benchmark::State& state, const Parcel& parcel) {
  for (auto _ : state)
    benchmark::DoNotOptimize(protocol::encode(parcel.message));
}

void decode(benchmark::State& state, const Parcel& parcel) {
  const std::vector<std::byte> bytes = protocol::encode(parcel.message);
  for (auto _ : state) benchmark::DoNotOptimize(protocol::decode(bytes));
}

void frames(benchmark::State& state, const Parcel& parcel) {
  for (auto _ : state) {
    TensorFrames made(parcel.tensors);
    benchmark::DoNotOptimize(made.share());
  }
}

// A router and a dealer that it knows.
struct Link {
  explicit Link(std::string endpoint) : router(make_router(context)) {
    or_exit(bind_router(router, endpoint));
    dealer = or_exit(connect_transfer_link(context, endpoint, 1000));
    Message hello;
    hello.body = protocol::Checkpoint{};
    (void)send(dealer, "", hello);
    routing_id = next(router, at_router).routing_id;
  }

  static Received next(zmq::socket_t& socket, Receiver& receiver) {
    std::array<zmq::pollitem_t, 1> items{{{socket, 0, ZMQ_POLLIN, 0}}};
    while (true) {
      std::optional<Received> received;
      while (receiver.take(socket, received))
        if (received) return std::move(*received);
      wait_readable(items, std::chrono::seconds(10));
    }
  }

  zmq::context_t context;
  zmq::socket_t router, dealer;
  Receiver at_router, at_dealer;
  std::string routing_id;
};

// Frames made, sent by the router, received by the dealer: one at a time.
void deliver(benchmark::State& state, const Parcel& parcel,
             const std::string& endpoint) {
  Link link(endpoint);
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    TensorFrames made(parcel.tensors);
    (void)send(link.router, link.routing_id, parcel.message, &made);
    bytes += Link::next(link.dealer, link.at_dealer).bytes;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void finite(benchmark::State& state) {
  const Blob mebibyte = zeros({std::uint64_t{1} << 18});
  for (auto _ : state) benchmark::DoNotOptimize(is_finite(mebibyte));
  state.SetBytesProcessed(state.iterations() * (std::int64_t{1} << 20));
}

const bool kRegistered = [] {
  const auto add = [](std::string_view part, const std::string& name,
                      auto function) {
    return benchmark::RegisterBenchmark(
               (std::string(part) + "/" + name).c_str(), function)
        ->Unit(benchmark::kMicrosecond);
  };
  for (const Parcel& p : parcels()) {
    add("encode", p.name, [p](benchmark::State& s) { encode(s, p); });
    add("decode", p.name, [p](benchmark::State& s) { decode(s, p); });
    add("frames", p.name, [p](benchmark::State& s) { frames(s, p); });
    add("inproc", p.name,
        [p](benchmark::State& s) { deliver(s, p, "inproc://bench"); });
    // Half of it is waiting for other threads.
    add("tcp", p.name, [p](benchmark::State& s) {
      deliver(s, p, "tcp://127.0.0.1:*");
    })->UseRealTime();
  }
  add("is_finite", "1-MiB", [](benchmark::State& s) { finite(s); });
  return true;
}();

}  // namespace
}  // namespace mdgan::bench
