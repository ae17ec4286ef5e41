#include "peer/io/peer_shell.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <span>
#include <utility>

#include "common/base/time.h"
#include "peer/io/peer_shell_impl.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReportEvery = 10s;

}  // namespace

// --- the loop ---------------------------------------------------------------

Result<PeerShellReport> PeerShell::Impl::run() {
  if (const auto opened = open(); !opened) return opened.error();
  feed_all(Connected{});
  handle_events();
  while (!over()) poll();
  // The goodbyes get a moment to leave.
  server->set_linger(1000);
  for (const auto& s : sessions) {
    report.rounds += s->session.counters().rounds;
    report.swaps += s->session.counters().swaps_installed;
    const bool well =
        report.code == ExitCode::kOk || report.code == ExitCode::kStopped;
    if (well && !s->not_saved.empty()) {
      report.code = ExitCode::kCheckpoint;
      report.text =
          "peer " + s->peer().name +
          " ends, but its last checkpoint is missing: " + s->not_saved;
    }
  }
  return report;
}

Result<void> PeerShell::Impl::open() {
  if (auto opened = open_listener(); !opened) return opened;
  pool.emplace(options.workers, arithmetic.start_thread);
  file_pool.emplace(kWriters, [] {});
  for (PeerSetup& peer : options.peers) {
    sessions.push_back(std::make_unique<PeerRuntime>(
        *pool, *file_pool, returns, std::move(peer), data, arithmetic,
        options.keep_every));
    sessions.back()->number = static_cast<std::uint32_t>(taking_part++);
  }
  last_heard = connected = last_report = Clock::now();
  std::optional<ClientKeys> with;
  if (options.keys && options.server_key)
    with = ClientKeys{*options.keys, *options.server_key};
  server.emplace(
      context, options.server,
      [this](const Received& r) { return wants_from_server(r); }, with);
  return server->open(last_heard);
}

void PeerShell::Impl::poll() {
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(
      std::max(next_deadline() - Clock::now(), Duration::zero()));
  zmq::pollitem_t items[] = {
      {server->socket().handle(), 0, ZMQ_POLLIN, 0},
      {server->monitor().handle(), 0, ZMQ_POLLIN, 0},
      {nullptr, mailbox.fd(), ZMQ_POLLIN, 0},
      {listener ? listener->handle() : nullptr, -1, ZMQ_POLLIN, 0},
  };
  wait_readable(std::span(items).first(listener ? 4 : 3), wait);
  mailbox.drain();
  handle_events();
  drain_server();
  if (listener) drain_listener();
  const TimePoint now = Clock::now();
  watch_link(now);
  ring_alarms(now);
  watch_server(now);
  handle_events();
  report_progress(now);
  complaints.flush(now);
}

TimePoint PeerShell::Impl::next_deadline() const {
  const TimePoint next = std::min(Clock::now() + 1s, server->next_deadline());
  return alarms.empty() ? next : std::min(next, alarms.begin()->first);
}

void PeerShell::Impl::report_progress(TimePoint now) {
  if (!options.verbose || now - last_report < kReportEvery) return;
  last_report = now;
  const char* const insecure = options.insecure ? "  INSECURE" : "";
  const Session& first = sessions.front()->session;
  if (first.held_round().value > 0)
    spdlog::info("round {} of {}, {} discriminators received{}",
                 first.held_round().value, first.rounds(),
                 first.counters().swaps_installed, insecure);
  else if (first.peer())
    spdlog::info("waiting for training to start: {} of {} peers{}",
                 first.progress().live, first.progress().needed, insecure);
}

// --- sessions ---------------------------------------------------------------

PeerRuntime* PeerShell::Impl::by_peer(PeerId peer) {
  const auto found = welcomed.find(peer);
  return found == welcomed.end() ? nullptr : found->second;
}

void PeerShell::Impl::feed(PeerRuntime& s, SessionEvent event) {
  events.emplace_back(&s, std::move(event));
}

void PeerShell::Impl::handle_events() {
  std::vector<SessionEffect> effects;
  while (!events.empty()) {
    const auto [s, event] = std::move(events.front());
    events.pop_front();
    effects.clear();
    const bool was_over = s->session.over();
    s->session.handle(event, Clock::now(), effects);
    track(*s, was_over);
    for (const SessionEffect& effect : effects)
      std::visit([&, peer = s](const auto& e) { apply(*peer, e); }, effect);
  }
}

void PeerShell::Impl::feed_all(const SessionEvent& event) {
  for (const auto& s : sessions) feed(*s, event);
}

void PeerShell::Impl::ring_alarms(TimePoint now) {
  std::vector<std::uint32_t> due;
  for (auto it = alarms.begin(); it != alarms.end() && it->first <= now; ++it)
    due.push_back(it->second);
  for (const std::uint32_t number : due) feed(*sessions[number], ClockTicked{});
}

// Brings the lists up to date with what an event has made of a session.
void PeerShell::Impl::track(PeerRuntime& s, bool was_over) {
  if (const auto alarm = s.session.next_deadline(); alarm != s.alarm) {
    if (s.alarm) alarms.erase({*s.alarm, s.number});
    if (alarm) alarms.emplace(*alarm, s.number);
    s.alarm = alarm;
  }
  if (const auto address = s.session.peer(); address != s.address) {
    // Unless another session has been given the address since.
    if (s.address && by_peer(*s.address) == &s) welcomed.erase(*s.address);
    if (address) welcomed[*address] = &s;
    s.address = address;
  }
  if (!was_over && s.session.over()) --taking_part;
}

Lane::Failure PeerShell::Impl::trainer_failure(PeerRuntime& s) {
  return [this, &s](const std::string& what) {
    feed(s, Failed{{what, ExitCode::kBug}});
  };
}

// --- the face ---------------------------------------------------------------

PeerShell::PeerShell(zmq::context_t& context, PeerShellOptions options,
                     std::shared_ptr<const Dataset> data,
                     PeerArithmetic arithmetic)
    : impl_(std::make_unique<Impl>(context, std::move(options), std::move(data),
                                   std::move(arithmetic))) {}

PeerShell::~PeerShell() = default;

Result<PeerShellReport> PeerShell::run() { return impl_->run(); }

void PeerShell::request_leave() {
  impl_->mailbox.post([this] { impl_->feed_all(LeaveRequested{}); });
}

}  // namespace mdgan
