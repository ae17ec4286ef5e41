// The arithmetic of a run with every discriminator in a process of its own and
// blocking TCP sockets between, the payload on them and nothing else: no
// ZeroMQ, no messages, no checks, nobody who may be late or fail: what sockets
// and processes cost before anything is made of them. Prints one line of JSON:
// rounds a second and the processor time of all processes.

#include <sched.h>
#include <spdlog/fmt/fmt.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/base/work_sharer.h"
#include "common/base/worker_pool.h"
#include "common/tensor/device.h"
#include "tests/bench/bare_socket.h"
#include "tests/bench/training_setting.h"

namespace mdgan::bench {
namespace {

// A peer and its place in the ring in which discriminators go round.
struct Places {
  BareSocket server, next, previous;
};

// Sends a tensor on, and returns the one that comes: piece by piece, since
// nobody reads while all write.
Blob pass_on(const Places& at, const Blob& tensor) {
  constexpr std::size_t kPiece = 16'384;  // that any socket buffers
  NewBlob incoming = make_blob(tensor.meta);
  for (std::size_t i = 0; i < tensor.bytes.size(); i += kPiece) {
    const std::size_t size = std::min(kPiece, tensor.bytes.size() - i);
    at.next.write(tensor.bytes.subspan(i, size));
    at.previous.read(incoming.bytes.subspan(i, size));
  }
  return incoming.blob;
}

void take_part(const Setting& s, const Images& data, std::uint32_t peer,
               const Places& at) {
  const auto trainer = make_discriminator(s, data, peer);
  const ImageShape& shape = data->shape;
  const protocol::TensorMeta meta{
      protocol::DType::kFloat32,
      {s.batch, shape.channels, shape.height, shape.width}};
  const NewBlob discriminated = make_blob(meta);
  const NewBlob generated = make_blob(meta);
  for (Round round{1}; at.server.read_or_end(discriminated.bytes);
       ++round.value) {
    trainer->learn(round, discriminated.blob, {});
    at.server.read(generated.bytes);
    at.server.write(trainer->feedback(generated.blob, {}).feedback.bytes);
    if (!s.swaps_after(round)) continue;
    const PeerState own = trainer->snapshot(/*with_optimizer=*/true);
    or_exit(trainer->load({pass_on(at, own.parameters),
                           pass_on(at, own.first_moment),
                           pass_on(at, own.second_moment), own.adam_steps}));
  }
}

class Peers {
 public:
  // Starts one process a peer.
  Peers(const Setting& s, const Images& data) {
    const BareSocket listener = BareSocket::listen();
    std::vector<BareSocket> to_server, to_peer, from_previous;
    for (std::uint32_t i = 0; i < s.peers; ++i) {
      to_server.push_back(BareSocket::connect(listener.port()));
      connections_.push_back(listener.accept());
      to_peer.push_back(BareSocket::connect(listener.port()));
      from_previous.push_back(listener.accept());
    }
    for (std::uint32_t i = 0; i < s.peers; ++i) {
      const pid_t child = fork();
      if (child < 0) throw std::runtime_error("no process");
      if (child > 0) {
        children_.push_back(child);
        continue;
      }
      const Places own{std::move(to_server[i]),
                       std::move(to_peer[(i + 1) % s.peers]),
                       std::move(from_previous[i])};
      // The others' must close when they and the server do.
      for (auto* others : {&connections_, &to_server, &to_peer, &from_previous})
        others->clear();
      run_child(s, data, i, own);
    }
  }
  ~Peers() { end(); }
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  // Ends them; whether all had gone well until then.
  bool end() {
    connections_.clear();  // which tells them
    bool well = true;
    for (const pid_t child : std::exchange(children_, {})) {
      int status = 0;
      waitpid(child, &status, 0);
      well = well && status == 0;
    }
    return well;
  }
  const std::vector<BareSocket>& connections() const { return connections_; }

  // The processor time of all peers so far.
  double cpu_seconds() const {
    double sum = 0;
    for (const pid_t child : children_) {
      clockid_t clock{};
      timespec now{};
      if (clock_getcpuclockid(child, &clock) == 0) clock_gettime(clock, &now);
      sum += static_cast<double>(now.tv_sec) +
             static_cast<double>(now.tv_nsec) / 1e9;
    }
    return sum;
  }

 private:
  [[noreturn]] static void run_child(const Setting& s, const Images& data,
                                     std::uint32_t peer, const Places& at) {
    const sched_param none{};
    (void)sched_setscheduler(0, SCHED_BATCH, &none);  // as mdgan-peer
    set_compute_threads(1);
    try {
      take_part(s, data, peer, at);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "peer %u: %s\n", peer, e.what());
      _exit(1);
    }
    _exit(0);
  }

  std::vector<BareSocket> connections_;
  std::vector<pid_t> children_;
};

class Server {
 public:
  Server(const Setting& s, const Images& data, const Peers& peers)
      : peers_(&peers), generator_(make_generator(s, data)) {}

  void round(Round round) {
    const std::vector<GeneratedBatch> batches = generator_->generate(round);
    const auto& connections = peers_->connections();
    for (std::size_t i = 0; i < connections.size(); ++i) {
      connections[i].write(batches[(i + 1) % batches.size()].images.bytes);
      connections[i].write(batches[i % batches.size()].images.bytes);
    }
    std::vector<Contribution> contributions;
    for (std::size_t i = 0; i < connections.size(); ++i) {
      const std::size_t own = i % batches.size();
      const NewBlob feedback = make_blob(batches[own].images.meta);
      connections[i].read(feedback.bytes);
      contributions.push_back({PeerId{static_cast<std::uint32_t>(i)},
                               static_cast<std::uint32_t>(own), feedback.blob});
    }
    (void)or_exit(generator_->step(round, contributions));
  }

 private:
  const Peers* peers_;
  std::unique_ptr<GeneratorTrainer> generator_;
};

std::string train(const Setting& s, const Images& data) {
  Peers peers(s, data);  // before this process has threads
  set_compute_threads(1);
  std::optional<WorkSharer> sharer;  // as mdgan-server has
  if (usable_cores() > 1) {
    sharer.emplace([] { set_compute_threads(1); });
    sharer->serve_this_thread();
  }
  Server server(s, data, peers);
  const auto cpu_seconds = [&] {
    return peers.cpu_seconds() +
           static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  };
  Round round{1};
  for (; round.value <= s.warm_up; ++round.value) server.round(round);
  const auto start = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  for (; round.value <= s.rounds; ++round.value) server.round(round);
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  const double used = cpu_seconds() - cpu;
  if (!peers.end()) throw std::runtime_error("a peer failed");
  const auto counted = static_cast<double>(s.rounds - s.warm_up);
  return fmt::format(R"({{"rounds_per_s": {}, "cpu_s_per_round": {}}})",
                     counted / took.count(), used / counted);
}

}  // namespace
}  // namespace mdgan::bench

int main(int argc, char** argv) {
  using namespace mdgan::bench;  // NOLINT: the program's own names
  start_like_the_programs(argv);
  return train_as_told("bench_bare_sockets", argc, argv, train);
}
