// Writes the seeds of the fuzzers' corpora with the project's own writers:
//   make_corpus tests/fuzz/corpus
// What fuzzing found lies beside them, and stays.

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <numeric>

#include "common/files/checkpoint_store.h"
#include "common/files/png.h"
#include "common/files/safetensors.h"
#include "peer/io/saved_discriminators.h"
#include "peer/options.h"
#include "protocol/codec.h"
#include "server/evaluate/evaluation_record.h"
#include "server/options.h"
#include "server/run/run_state.h"
#include "server/run/run_status.h"
#include "server/run/stats_record.h"
#include "tests/fuzz/input.h"
#include "tests/protocol/examples.h"
#include "tests/support/jpeg.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

const std::string kBetween = "\n%%\n";  // see Input::part()

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string content(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
std::string kind(int first) { return {static_cast<char>(first)}; }
void put(const fs::path& file, const std::string& text) {
  write(file, std::as_bytes(std::span(text)));
}

void envelopes(const fs::path& to) {
  for (const protocol::Message& message : one_of_each())
    put(to / protocol::type_name(message.body),
        text_of(protocol::encode(message)));
  Random random(1, Purpose::kSimulation);
  for (const protocol::Message& message : random_messages(random))
    put(to / (std::string(protocol::type_name(message.body)) + "-random"),
        text_of(protocol::encode(message)));
}

// Bytes of events, as coordinator_fuzzer.cc and session_fuzzer.cc read them.
using Events = std::string;
Events events(std::initializer_list<int> bytes) {
  Events text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

void coordinator_events(const fs::path& to) {
  const Events answer = events({2, 0});
  const auto hello = [](int name, int connection) {
    return events({0, 0, name, name + 1, 1, 0, 0, 0, 19, 0, 0, connection, 0});
  };
  const auto feedback = [](int of) { return events({4, of, 0, 0}); };
  for (const int algorithm : {0, 1, 2}) {
    // k 1, swaps, 21 rounds, 2 peers, quorum 0.5, checkpoints, a known image.
    Events run = events({0, algorithm, 1, 20, 1, 2, 2, 1, 0}) + answer +
                 hello(0, 0) + hello(1, 1);
    for (int i = 0; i < 20; ++i)
      run += answer + answer + feedback(0) + feedback(1);
    put(to / ("healthy-" + std::to_string(algorithm)), run);
    Events late = events({0, algorithm, 1, 20, 1, 2, 2, 1, 0}) + answer +
                  hello(0, 0) + hello(1, 1);
    for (int i = 0; i < 6; ++i) {
      late += answer + feedback(0) + events({8, 255}) + answer + feedback(1);
      if (i == 2) late += hello(2, 2);     // a late joiner
      if (i == 3) late += events({7, 1});  // a connection lost
      if (i == 4) late += hello(1, 3) + events({9});
    }
    late += events({11, 1, 1});  // stop
    for (int i = 0; i < 6; ++i) late += answer + feedback(0) + events({9});
    put(to / ("faults-" + std::to_string(algorithm)), late);
    // Resumed after round 5 with three names.
    Events resumed =
        events({1, algorithm, 1, 20, 1, 2, 2, 1, 1, 5, 3, 1, 1, 0}) + answer +
        hello(0, 0) + hello(1, 1);
    for (int i = 0; i < 6; ++i)
      resumed += answer + feedback(0) + feedback(1) + answer + events({9});
    put(to / ("resumed-" + std::to_string(algorithm)), resumed);
  }
  // Two peers without a listener, a swap after each round; its last peer dies
  // with the third.
  const auto hidden = [](int name) {
    return events({0, 0, name, name + 1, 1, 0, 2, 0, 19, 0, 0, name, 0});
  };
  const auto chunk = [](int exchange, int index, int peer) {
    return events({12, exchange, index, peer, 0, 0, 1, peer, 0});
  };
  const auto taken = [](int exchange, int count, int peer) {
    return events({12, exchange, count, peer, 0, 0, 0, peer, 0});
  };
  Events relay = events({0, 0, 1, 20, 1, 2, 0, 1, 0}) + answer + hidden(0) +
                 hidden(1) + events({0});  // a checkpoint before the first
  for (int i = 1; i < 4; ++i) {
    relay += answer + answer + feedback(0) + feedback(1) + answer;
    for (const int peer : {0, 1})
      relay += chunk(i, 0, peer) + taken(i, 1, 1 - peer) + chunk(i, 1, peer) +
               chunk(i, 3, peer);
    if (i == 3) relay += events({7, 1});
    relay += feedback(0) + feedback(1) + answer;
  }
  put(to / "relay", relay);
}

void session_events(const fs::path& to) {
  const Events answer = events({1, 0});
  const auto welcome = [](int start) {
    return events({0, start - 1, 3, 1, 0, 0, 0, 0, 3, 0, 0}) + events({1, 0});
  };
  const auto round = [&](int number) {
    return events({3, 0, 1, 0, 0, 0, number, 0}) + events({4, number, 0}) +
           events({4, number, 1}) + answer;
  };
  // Sends to and receives from peer 1 in exchange `swap`.
  const auto swap = [&](int number, int which) {
    return events({5, 3, which, 1, 1, 1, 2, 0, 0, number, 0}) + events({0});
  };
  const auto transfer = [](int which) {
    return events({6, which, 1, 1, 0, 0});
  };
  const auto commit = [](int number, int which) {
    return events({7, 1, which, 0, 0, number, 0});
  };
  const auto abort = [](int number, int which) {
    return events({7, 0, which, 0, 0, number, 0});
  };
  for (const int start : {1, 2, 3, 4}) {
    const Events begun = welcome(start) + answer;
    put(to / ("swaps-" + std::to_string(start)),
        begun + round(1) + round(2) + swap(2, 1) + transfer(1) + answer +
            commit(2, 1) + round(3) + transfer(2) + swap(3, 2) + answer +
            abort(3, 2) + round(4));
    put(to / ("reconnects-" + std::to_string(start)),
        begun + round(1) + swap(1, 1) + transfer(1) + answer + events({11, 9}) +
            welcome(3) + round(2) + events({9, 255}) + events({10}) +
            welcome(2) + round(3) + events({11, 2}));
  }
  // Sends exchange 2 by relay, in 20 chunks; receives exchange 3 likewise.
  const auto taken = [](int number, int count) {
    return events({12, 0, number, count, 0, 0, 3, 0});
  };
  const auto chunk = [](int number, int index) {
    return events({12, 1, number, index, 0, 0, 3, 0}) + events({0});
  };
  put(to / "relay", welcome(1) + answer + round(1) +
                        events({5, 1, 2, 1, 1, 1, 2, 0, 0, 2, 0}) +
                        events({20}) + answer + taken(2, 3) + taken(2, 16) +
                        taken(2, 20) +
                        events({5, 2, 3, 1, 1, 1, 2, 0, 0, 3, 0}) +
                        chunk(3, 0) + chunk(3, 1) + abort(3, 3) + round(4));
  put(to / "copy", welcome(4) + answer + transfer(1) +
                       events({5, 2, 1, 1, 1, 1, 2, 0, 0, 3, 0}) + answer +
                       commit(3, 1) + round(4) + round(5));
}

Blob blob(std::vector<std::uint64_t> dims, protocol::DType dtype,
          std::byte filled = std::byte{1}) {
  const std::uint64_t n = std::accumulate(
      dims.begin(), dims.end(), std::uint64_t{1}, std::multiplies<>());
  const std::vector<std::byte> bytes(n * protocol::bytes_of(dtype), filled);
  return copy_blob({dtype, std::move(dims)}, bytes);
}

bool tensors(const fs::path& to) {
  const TemporaryDirectory folder;
  using enum protocol::DType;
  const std::vector<NamedBlob> some{{"a.weight", blob({3, 4}, kFloat32)},
                                    {"a.bias", blob({4}, kFloat32)},
                                    {"steps", blob({}, kInt64)},
                                    {"labels", blob({2, 1, 2}, kInt32)},
                                    {"none", blob({0, 7}, kFloat32)}};
  const fs::path file = folder / "x";
  if (!write_safetensors(file, some, {{"round", "7"}, {"k\"", "\u00e9"}}))
    return false;
  const std::string all = content(file);
  const std::size_t header = static_cast<unsigned char>(all[0]) +
                             256U * static_cast<unsigned char>(all[1]);
  put(to / "file", kind(0) + all);
  put(to / "header",
      kind(1) + all.substr(8, header) + kBetween + all.substr(8 + header));
  put(to / "empty", kind(1) + "{}" + kBetween);
  return true;
}

bool checkpoints(const fs::path& to) {
  const TemporaryDirectory folder;
  const auto add = [&](const std::string& name, bool peer, const fs::path& of) {
    const std::string files = content(of / "meta.json") + kBetween +
                              content(of / "state.safetensors");
    put(to / name, kind(peer ? 1 : 0) + files);
    put(to / (name + "-manifest"),
        kind(peer ? 3 : 2) + content(of / "manifest.json") + kBetween + files);
  };
  const std::vector<NamedBlob> generator{
      {"generator", blob({6}, protocol::DType::kFloat32)}};
  RunState run;
  run.run = counting_bytes<16>(1);
  run.incarnation = 3;
  run.position = {
      {7}, {5}, {{"a", {0}}, {"Zo\u00eb", {1}}}, {{{0}, {9}}, {{1}, {8}}}};
  run.k = 2;
  TrainingSpec spec = example_spec();
  CheckpointStore store(folder / "run", 3, 0);
  if (!store.save({7}, generator, describe_run(run, spec))) return false;
  add("run", false, folder / "run" / "00000007");

  const SavedDiscriminators saved(folder / "peer", "a", 0);
  const Blob flat = blob({6}, protocol::DType::kFloat32);
  const PeerState state{flat, flat, flat, 7};
  const protocol::Held held{run.run, {7}, {9}};
  if (!saved.save(held, state, {}, {})) return false;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "peer"))
    if (entry.path().filename() == "00000007") add("peer", true, entry.path());
  return true;
}

bool run_files(const fs::path& to) {
  const TemporaryDirectory folder;
  put(to / "server-template", kind(0) + server_configuration_template());
  ServerOptions options;
  options.local_peers = 2;
  options.data = "/data";
  const auto resolved = resolve(options);
  if (!resolved) return false;
  put(to / "server", kind(0) + effective_configuration(*resolved));
  put(to / "server-small",
      kind(0) +
          "min-peers = 2\nbind = tcp://*:5555\nimage = 1x28x28\n"
          "classes = 10\nloss = hinge\nalgorithm = fl-gan\n"
          "aggregate = krum\ncodec-swap = bfloat16\n# end\n");
  put(to / "peer-template", kind(1) + peer_configuration_template());
  put(to / "peer", kind(1) +
                       "server = tcp://a:5555\ndata = /data\n"
                       "shard = 1/4\nname = b\n");
  std::string lines;
  for (std::uint64_t round = 50; round <= 150; round += 50) {
    StatsRecord record;
    record.round = round;
    record.d_loss = 1.25;
    record.peers = 3;
    lines += to_json(record) + "\n";
  }
  put(to / "stats", kind(2) + lines);
  put(to / "stats-torn", kind(2) + lines.substr(0, lines.size() - 9));
  EvaluationRecord evaluation;
  evaluation.samples = 10'000;
  evaluation.features = "classifier";
  for (const std::uint64_t round : {40, 100, 160}) {
    evaluation.round = round;
    if (!keep_evaluation(folder.path(), evaluation)) return false;
  }
  put(to / "metric", kind(3) + content(folder / "metric-fid10k.jsonl"));
  RunStatus status;
  status.incarnation = 3;
  put(to / "status", kind(4) + to_json(status));
  put(to / "incarnation", kind(5) + "3\n");
  return true;
}

std::string gzip(const std::string& text) {
  const TemporaryDirectory folder;
  const gzFile file = gzopen((folder / "x").c_str(), "wb9");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  return content(folder / "x");
}

bool data_files(const fs::path& to) {
  const TemporaryDirectory folder;
  Random random(2, Purpose::kSimulation);
  const auto pixels = [&](std::size_t n) {
    std::vector<std::uint8_t> values(n);
    for (auto& v : values) v = static_cast<std::uint8_t>(random.below(256));
    return values;
  };
  const auto as_text = [](const std::vector<std::uint8_t>& bytes) {
    return std::string(bytes.begin(), bytes.end());
  };
  const std::string labels =
      events({0, 0, 8, 1, 0, 0, 0, 4}) + events({1, 9, 0, 3});
  const std::string images =
      events({0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6}) +
      as_text(pixels(120));
  put(to / "idx", kind(0) + labels + kBetween + images);
  put(to / "idx-gz", kind(1) + gzip(labels) + kBetween + gzip(images));
  std::string table = events({0, 0, 12, 2, 0, 0, 0, 4, 0, 0, 0, 2});
  for (const int label : {1, 9, 0, 3})
    table += events({0, 0, 0, label, 0, 0, 1, 0});
  put(to / "idx-qmnist", kind(0) + table + kBetween + images);
  put(to / "cifar", kind(2) + events({7}) + as_text(pixels(3072)));
  put(to / "gzip", kind(3) + kind(16) + gzip(images));
  put(to / "gzip-members",
      kind(3) + kind(16) + gzip(labels) + gzip(images) + std::string(8, '\0'));
  const auto png = [&](unsigned channels) {
    const bool done = write_png(folder / "x.png", 8, 8, channels,
                                pixels(std::size_t{64} * channels))
                          .ok();
    return done ? content(folder / "x.png") : std::string();
  };
  put(to / "png-grey", kind(4) + png(1));
  put(to / "png", kind(4) + png(3));
  put(to / "jpeg-grey", kind(5) + test::jpeg_of(pixels(256), 16, 16, true));
  put(to / "jpeg", kind(5) + test::jpeg_of(pixels(768), 16, 16, false));
  put(to / "folder",
      kind(6) + png(3) + kBetween + test::jpeg_of(pixels(192), 8, 8, false));
  put(to / "cifar-100", kind(7) + events({7, 77}) + as_text(pixels(3072)));
  put(to / "folder-fitted", kind(8) + events({0, 27, 40, 1}) + png(1) +
                                kBetween +
                                test::jpeg_of(pixels(192), 8, 8, false));
  return !png(3).empty();
}

}  // namespace
}  // namespace mdgan::test

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_corpus FOLDER\n", stderr);
    return 2;
  }
  using namespace mdgan::test;
  const std::filesystem::path to = argv[1];
  envelopes(to / "envelope");
  coordinator_events(to / "coordinator");
  session_events(to / "session");
  const bool done =
      tensors(to / "safetensors") && checkpoints(to / "checkpoint") &&
      run_files(to / "run_files") && data_files(to / "data_files");
  if (!done) std::fputs("a file could not be written\n", stderr);
  return done ? 0 : 1;
}
