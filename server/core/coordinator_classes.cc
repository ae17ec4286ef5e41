// How the model is decided, and what a label of the run means.

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/alike_names.h"
#include "common/base/words.h"
#include "protocol/limits.h"
#include "server/core/coordinator.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// A peer that waits says hello again every two seconds; one that has not for so
// long is gone.
constexpr Duration kFresh = 10s;
// The class lists of all waiting peers take so much memory at most: about 1,000
// lists of the longest.
constexpr std::size_t kMostClassBytes = std::size_t{64} << 20;

std::string size_of(const ImageShape& image) {
  return std::to_string(image.channels) + "x" + std::to_string(image.height) +
         "x" + std::to_string(image.width);
}

bool same_size(const ImageShape& a, const ImageShape& b) {
  return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

// By which options a peer's images become such as the run's.
std::string way_to(const ImageShape& run, const ImageShape& peer) {
  std::string options;
  if (peer.height != run.height || peer.width != run.width)
    options = " --size " + std::to_string(run.height) + "x" +
              std::to_string(run.width) + " --fit crop";
  if (peer.channels != run.channels)
    options += " --channels " + std::to_string(run.channels);
  return "mdgan-peer" + options + " brings a folder of images to it";
}

}  // namespace

bool Coordinator::awaits_classes() const {
  return config_.conditional && config_.classes.empty();
}

void Coordinator::decide_model(ImageShape image, ClassNames classes, Out& out) {
  if (std::exchange(deciding_, true)) return;
  image.classes = static_cast<std::uint32_t>(classes.size());
  out.emplace_back(DecideModel{image, std::move(classes)});
}

// The first peer's data decides the image shape where nothing else does, and
// the peers with which the run can start decide the classes.
void Coordinator::wait_for_model(ConnectionId connection,
                                 const protocol::Hello& hello,
                                 const PublicKey& key, TimePoint now,
                                 Out& out) {
  const EarlyHellos::Early* same = early_hellos_.find(hello.name);
  if (same != nullptr && same->hello.nonce != hello.nonce &&
      now - same->said < kFresh) {
    refuse_hello(connection, hello, protocol::ErrorCode::kNameInUse,
                 "a live peer is named " + hello.name +
                     ": start this one with another --name",
                 out);
    return;
  }
  if (same == nullptr && early_hellos_.size() >= protocol::kMaxPeers) return;
  // Strangers may say hello, too. One that finds no room is not answered, and
  // comes again.
  const std::size_t others =
      early_hellos_.class_bytes() -
      (same == nullptr ? 0 : EarlyHellos::class_bytes_of(same->hello));
  if (others + EarlyHellos::class_bytes_of(hello) > kMostClassBytes) return;
  const ImageShape image = config_.image ? *config_.image
                           : early_hellos_.size() > 0
                               ? early_hellos_.all().begin()->second.hello.image
                               : hello.image;
  if (const auto objection = objection_to(hello, image)) {
    early_hellos_.remove(hello.name);
    refuse_hello(connection, hello, objection->code, objection->text, out);
    return;
  }
  const bool is_new = same == nullptr;
  early_hellos_.add({connection, hello, key, now});
  if (deciding_) return;
  if (!awaits_classes()) {
    decide_model(image, config_.classes, out);
    return;
  }
  if (waiting_peers() >= needed_peers())
    early_hellos_.remove_if(
        [&](const auto& early) { return now - early.said >= kFresh; });
  if (waiting_peers() >= needed_peers() && !refuse_lookalikes(out)) {
    std::vector<ClassNames> lists;
    for (const auto& [arrival, early] : early_hellos_.all())
      lists.push_back(early.hello.classes);
    decide_model(image, union_of(lists), out);
    return;
  }
  if (early_hellos_.find(hello.name) == nullptr) return;
  if (is_new && member_notes_.allows(now))
    out.emplace_back(Note{
        "peer " + hello.name + " is there: " +
            std::to_string(hello.shard_size) + " images of the classes " +
            listed(hello.classes) + "; " + std::to_string(waiting_peers()) +
            " of " + plural(needed_peers(), "peer") +
            (needed_peers() == 1 ? " that decides the run's classes"
                                 : " that decide the run's classes"),
        false});
  // The peer has no welcome yet; this tells it that the server still knows it.
  out.emplace_back(
      SendMessage{connection,
                  {config_.run,
                   config_.incarnation,
                   position_.completed,
                   {},
                   protocol::Progress{protocol::Phase::kWaiting, config_.rounds,
                                      waiting_peers(), needed_peers()}}});
}

// Refuses peers that spell a class in another way than an earlier peer does.
// Returns whether too few peers are left then.
bool Coordinator::refuse_lookalikes(Out& out) {
  struct Spelling {
    std::string name;
    std::string peer;
  };
  std::map<std::string, Spelling> spellings;  // by folded()
  std::size_t bytes = 0;
  std::vector<std::pair<std::string, std::string>> refused;  // and why
  for (const auto& [arrival, early] : early_hellos_.all()) {
    const protocol::Hello& hello = early.hello;
    std::string why;
    // What it adds counts only if it is not refused.
    std::map<std::string, Spelling> added;
    std::size_t added_bytes = 0;
    for (const std::string& name : hello.classes) {
      const auto it = spellings.find(folded(name));
      if (it == spellings.end()) {
        added.emplace(folded(name), Spelling{name, hello.name});
        added_bytes += name.size();
        continue;
      }
      if (it->second.name == name) continue;
      why = "peer " + hello.name + " has the class '" + name + "', and peer " +
            it->second.peer + " '" + it->second.name +
            "' (they differ by case, blanks or how accents are stored only): "
            "one class has one name, so rename the folder of one of them, "
            "or say at the server with classes = which classes there are";
      class_warnings_[it->second.peer] = why;
      break;
    }
    if (why.empty() &&
        (spellings.size() + added.size() > protocol::kMaxNamedClasses ||
         bytes + added_bytes > protocol::kMaxClassNameBytes))
      why = "with the classes of peer " + hello.name + " the run has " +
            std::to_string(spellings.size() + added.size()) +
            ", more than there may be: say at the server with classes = which "
            "there are";
    if (!why.empty()) {
      refused.emplace_back(hello.name, why);
    } else {
      spellings.merge(added);
      bytes += added_bytes;
    }
  }
  for (const auto& [name, why] : refused) {
    const EarlyHellos::Early early = *early_hellos_.find(name);
    early_hellos_.remove(name);
    refuse_hello(early.connection, early.hello, protocol::ErrorCode::kMismatch,
                 why, out);
  }
  return waiting_peers() < needed_peers();
}

void Coordinator::forget_early(ConnectionId connection) {
  if (!early_hellos_.connections().contains(connection)) return;
  early_hellos_.remove_if(
      [&](const auto& early) { return early.connection == connection; });
}

std::optional<protocol::ErrorReply> Coordinator::objection_to(
    const protocol::Hello& hello, const ImageShape& image) const {
  if (!same_size(hello.image, image))
    return protocol::ErrorReply{protocol::ErrorCode::kMismatch,
                                "the images of peer " + hello.name + " are " +
                                    size_of(hello.image) + ", this run's are " +
                                    size_of(image) + ": " +
                                    way_to(image, hello.image)};
  if (hello.shard_size < config_.batch)
    return protocol::ErrorReply{
        protocol::ErrorCode::kData,
        "peer " + hello.name + " has " + std::to_string(hello.shard_size) +
            " images, fewer than a batch of " + std::to_string(config_.batch) +
            ": give it more data, or the server a smaller --batch"};
  if (std::string why = class_objection(hello); !why.empty())
    return protocol::ErrorReply{protocol::ErrorCode::kMismatch, why};
  return std::nullopt;
}

// A run that uses no labels does not require them.
std::string Coordinator::class_objection(const protocol::Hello& hello) const {
  if (!config_.conditional) return "";
  const std::string peer = "peer " + hello.name;
  if (hello.image.classes == 0)
    return peer +
           " has no labels, and this run uses them: give it labelled images, "
           "such as a folder for each class";
  if (hello.classes.empty())
    return peer +
           " does not tell the names of its classes, and this run uses them: "
           "its log says why";
  if (config_.labels == BatchLabels::kShard &&
      std::ranges::all_of(hello.class_counts,
                          [](std::uint64_t n) { return n == 0; }))
    return peer +
           " does not tell which classes it has, and this run's batches have "
           "the labels of the peers' shards: start it with --tell-classes "
           "presence or counts";
  if (config_.classes.empty()) {
    const auto alike = first_alike(hello.classes);
    if (!alike) return "";
    return peer + " has the classes '" + alike->first + "' and '" +
           alike->second +
           "', which differ by case, blanks or how accents are stored only: "
           "make one of them";
  }
  const auto name = first_not_in(hello.classes, config_.classes);
  if (!name) return "";
  if (const auto same = lookalike(*name, config_.classes))
    return peer + " has the class '" + *name + "', which this run calls '" +
           *same + "': give its folder that name";
  return peer + " has the class '" + *name +
         "', which is none of this run's (" + listed(config_.classes) +
         "): take it out of the peer's data, or begin a run whose classes = "
         "has "
         "it";
}

std::vector<std::uint64_t> Coordinator::run_counts(
    const protocol::Hello& hello) const {
  if (!config_.conditional || hello.class_counts.empty()) return {};
  std::vector<std::uint64_t> counts(config_.classes.size());
  const auto where = places(hello.classes, config_.classes);
  for (std::size_t i = 0; i < where.size(); ++i)
    if (where[i]) counts[*where[i]] = hello.class_counts[i];
  return counts;
}

}  // namespace mdgan
