#include "peer/io/peer_shell.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "common/base/low_priority.h"
#include "common/base/time.h"
#include "common/base/words.h"
#include "common/files/atomic_write.h"
#include "common/files/plain_file.h"
#include "peer/io/peer_shell_impl.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReportEvery = 10s;

// The text of the file in `folder`, which may not be there yet.
NewestFile::Text text_in(const std::filesystem::path& folder,
                         PeerStatus status) {
  return [folder, status = std::move(status)] {
    static_cast<void>(make_directories(folder));  // or writing it fails
    return to_json(status);
  };
}

}  // namespace

// --- the loop ---------------------------------------------------------------

Result<PeerShellReport> PeerShell::Impl::run() {
  if (const auto opened = open(); !opened) return opened.error();
  feed_all(Connected{});
  handle_events();
  while (!over()) poll();
  // The goodbyes get a moment to leave.
  server->set_linger(1000);
  report.sent = sent();
  if (options.verbose) report_sent();
  for (const auto& s : sessions) {
    report.rounds += s->session.counters().rounds;
    report.swaps += s->session.counters().swaps_installed;
    if (s->privacy &&
        (!report.privacy || s->privacy->epsilon > report.privacy->epsilon))
      report.privacy = s->privacy;
    const bool well =
        report.code == ExitCode::kOk || report.code == ExitCode::kStopped;
    if (well && !s->not_saved.empty()) {
      report.code = ExitCode::kCheckpoint;
      report.text =
          "peer " + s->peer().name +
          " ends, but its last checkpoint is missing: " + s->not_saved;
    }
  }
  if (options.verbose && report.privacy)
    spdlog::info("differential privacy: {} was spent{}",
                 privacy_words(*report.privacy),
                 sessions.size() > 1 ? " by the peer that spent most" : "");
  if (report.code == ExitCode::kOk) report.code = leave_code;
  for (const auto& s : sessions) {
    if (!s->status) continue;
    PeerStatus status = status_of(*s);
    status.connected = false;
    status.exit = {static_cast<int>(report.code), report.text};
    s->status->write_now(text_in(s->peer().state, std::move(status)));
  }
  return report;
}

// Before the server hears of them: that their state can be kept.
Result<void> PeerShell::Impl::check_states() const {
  std::vector<std::filesystem::path> folders;
  for (const PeerSetup& peer : options.peers) {
    folders.push_back(peer.state);
    if (!options.status_files) continue;
    for (const char* file : {"status.json", "partition.json"})
      if (auto plain = check_plain(peer.state / file); !plain) return plain;
  }
  return check_writable(folders);
}

Result<void> PeerShell::Impl::open() {
  if (auto states = check_states(); !states) return states;
  if (auto opened = open_listener(); !opened) return opened;
  pool.emplace(options.workers, arithmetic.start_thread);
  file_pool.emplace(kWriters, [] {});
  if (options.status_files) status_pool.emplace(1, [] {});
  if (std::ranges::any_of(options.peers,
                          [](const auto& peer) { return !!peer.measure; }))
    evaluation_pool.emplace(1, at_lower_priority(arithmetic.start_thread));
  for (PeerSetup& peer : options.peers) {
    sessions.push_back(std::make_unique<PeerRuntime>(
        *pool, *file_pool, returns, std::move(peer), data, arithmetic,
        options.keep_every));
    sessions.back()->session = Session(options.objection);
    sessions.back()->number = static_cast<std::uint32_t>(taking_part++);
    if (sessions.back()->peer().measure)
      sessions.back()->evaluation.emplace(*evaluation_pool, returns);
    if (status_pool)
      sessions.back()->status.emplace(
          sessions.back()->peer().state / "status.json",
          [strand = Strand(*status_pool)](auto task) mutable {
            strand.post(std::move(task));
          });
  }
  link_since = std::chrono::system_clock::now();
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
  write_status(now);
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
  const auto& privacy = sessions.front()->privacy;
  if (first.held_round().value > 0)
    spdlog::info("round {} of {}, {} received{}{}", first.held_round().value,
                 first.rounds(),
                 plural(first.counters().swaps_installed, "discriminator"),
                 privacy ? ", " + privacy_words(*privacy) : "", insecure);
  else if (first.peer() || first.progress().needed > 0)
    spdlog::info("waiting for training to start: {} of {}{}",
                 first.progress().live, plural(first.progress().needed, "peer"),
                 insecure);
}

// Its kinds are those of docs/what-leaves-a-site.md.
void PeerShell::Impl::report_sent() const {
  std::string text;
  for (const auto& [kind, bytes] : report.sent)
    if (bytes > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", kind, bytes);
  spdlog::info("bytes that left this process: {}", text.empty() ? "0" : text);
}

SentBytes PeerShell::Impl::sent() const {
  SentBytes all = server->sent();
  if (links.sent() > 0) all["transfer"] = links.sent();
  return all;
}

PeerStatus PeerShell::Impl::status_of(const PeerRuntime& s) const {
  const auto since_1970 = [](std::chrono::system_clock::time_point time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
  };
  PeerStatus status;
  status.pid = ::getpid();
  status.name = s.peer().name;
  status.images = s.peer().shard.size();
  status.server = options.server;
  status.connected = server->connected();
  status.since = since_1970(link_since);
  status.insecure = options.insecure;
  if (const auto address = s.session.peer()) status.peer = address->value;
  status.round = s.session.held_round().value;
  status.rounds = s.session.rounds();
  status.live = s.session.progress().live;
  status.needed = s.session.progress().needed;
  status.answer_seconds = s.answer_seconds;
  status.swaps = s.session.counters().swaps_installed;
  for (const auto& [kind, bytes] : sent())
    status.sent[std::string(kind)] = bytes;
  status.privacy = s.privacy;
  status.updated = since_1970(std::chrono::system_clock::now());
  return status;
}

// Once a second; a process of many peers is at it a twentieth of the time.
void PeerShell::Impl::write_status(TimePoint now) {
  if (now < status_due) return;
  status_due = now + std::max<Duration>(1s, 2ms * sessions.size());
  if (options.on_status) options.on_status(status_of(*sessions.front()));
  if (!status_pool) return;
  for (const auto& s : sessions)
    s->status->write(text_in(s->peer().state, status_of(*s)));
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
  rounds_ahead = std::max(rounds_ahead, s.session.rounds_ahead());
  if (options.keys) track_keys(s);
  if (!was_over && s.session.over() && --taking_part == 0) leaving = true;
}

Lane::Failure PeerShell::Impl::trainer_failure(PeerRuntime& s) {
  return [this, &s](const Error& error) { feed(s, Failed{error}); };
}

// --- the face ---------------------------------------------------------------

PeerShell::PeerShell(zmq::context_t& context, PeerShellOptions options,
                     std::shared_ptr<const Dataset> data,
                     PeerArithmetic arithmetic)
    : impl_(std::make_unique<Impl>(context, std::move(options), std::move(data),
                                   std::move(arithmetic))) {}

PeerShell::~PeerShell() = default;

Result<PeerShellReport> PeerShell::run() { return impl_->run(); }

void PeerShell::request_leave(ExitCode code) {
  impl_->mailbox.post([this, code] {
    impl_->leave_code = code;
    impl_->leaving = true;
    impl_->feed_all(LeaveRequested{});
  });
}

}  // namespace mdgan
