// What server_shell.cc (the loop, the network) and server_effects.cc (training,
// files) share, and nobody else includes.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mailbox.h"
#include "common/base/worker_pool.h"
#include "common/files/checkpoint_store.h"
#include "common/files/jsonl.h"
#include "common/net/channel.h"
#include "server/io/server_shell.h"
#include "server/io/tick_statistics.h"
#include "server/train/generator_trainer.h"

namespace mdgan {

struct ServerShell::Impl {
  struct Connection {
    std::string routing_id;
    std::string address;
    bool complained = false;  // about its messages, once
  };
  struct ReadyBatch {
    std::vector<protocol::TensorMeta> metas;
    std::optional<TensorFrames> frames;
  };

  zmq::context_t& context;
  const ServerOptions& options;
  const RunDirectory& directory;
  RunState state;  // as it was loaded; the generator's part is moved out
  int stop_descriptor;
  Coordinator coordinator;
  CheckpointStore store;
  std::string endpoint;

  Mailbox mailbox;
  // Touched by tasks on the training strand alone, once made.
  std::unique_ptr<GeneratorTrainer> trainer;

  std::optional<zmq::socket_t> router;
  std::map<std::string, ConnectionId> by_routing_id;
  std::map<ConnectionId, Connection> connections;
  std::uint64_t next_connection = 1;

  std::deque<ServerEvent> events;
  // Of the open round: the tensors of each peer's message.
  std::map<PeerId, std::vector<Blob>> feedback;
  std::map<Round, std::vector<ReadyBatch>> batches;
  std::optional<DiscriminatorSpec> spec;  // once the model is decided
  std::optional<Finish> finished;
  std::optional<Finish> outcome;  // what request_stop() asks for
  std::size_t training = 0;       // tasks on the strand that have not come back

  TickStatistics tick;
  // When the open round's last batch was handed over.
  TimePoint sent_at = std::chrono::steady_clock::now();
  std::optional<JsonlWriter> stats;
  ProgressLine* progress = nullptr;

  WorkerPool pool;  // destroyed first: its tasks use the above
  Strand strand;

  Impl(zmq::context_t& c, const ServerOptions& o, const RunDirectory& d,
       RunState s, const std::optional<ImageShape>& image, int stop);

  Result<void> open();
  Finish run(ProgressLine& line);
  void poll();
  void handle_events();
  void on_received(Received received);
  std::string defect_of(const protocol::Message& message,
                        const std::vector<Blob>& tensors) const;
  ConnectionId connection_of(const Received& received);
  void forget_a_stranger();
  void deliver(ConnectionId id, const protocol::Message& message,
               TensorFrames* frames);

  // One overload per effect: an effect without one does not compile.
  void apply(const SendMessage& e);
  void apply(const SendBatch& e);
  void apply(const DecideModel& e);
  void apply(const GenerateBatches& e);
  void apply(const StepGenerator& e);
  void apply(const ReportRound& e);
  void apply(const SaveCheckpoint& e);
  void apply(const Note& e);
  void apply(const Finish& e);

  // Runs `work` on the training strand, then what it returns on the loop.
  void train(std::function<std::function<void()>()> work);
  void end_tick();
  void draw_samples(Round round);
};

}  // namespace mdgan
