// What a peer does when it is asked how good the generator is.

#include <utility>

#include "common/evaluate/site_metrics.h"
#include "peer/io/peer_shell_impl.h"

namespace mdgan {
namespace {

// Further ones are refused: the server asks faster than this peer measures.
constexpr std::size_t kAtOnce = 5;

Blob blob_of(std::vector<std::uint64_t> dims,
             const std::vector<double>& values) {
  return copy_blob({protocol::DType::kFloat64, std::move(dims)},
                   std::as_bytes(std::span(values)));
}

}  // namespace

void PeerShell::Impl::apply(PeerRuntime& s, const MeasureGenerator& e) {
  if (!s.evaluation) return;  // it never said that it measures
  const auto answer = [this, &s, e](Result<SiteMetrics> measured) {
    if (s.measured.size() > kAtOnce)
      s.measured.clear();  // of servers of before
    s.measured.insert_or_assign(e.round, std::move(measured));
    feed(s, GeneratorMeasured{e.run, e.incarnation, e.round});
  };
  if (arrived.size() != 2) {
    answer(Error{"what it was sent is not what its images are measured with"});
    return;
  }
  if (s.measuring >= kAtOnce) {
    answer(Error{"it still measures older ones"});
    return;
  }
  ++s.measuring;
  s.evaluation->run(
      [this, &s, answer,
       question = SiteQuestion{e.classifier, {arrived[0], arrived[1]}}]()
          -> Lane::Continuation {
        Result<SiteMetrics> measured = Error{"it leaves"};
        if (!leaving) measured = s.peer().measure(question);
        return [&s, answer, measured = std::move(measured)] {
          --s.measuring;
          answer(measured);
        };
      },
      [&s, answer](const Error& error) {
        --s.measuring;
        answer(error);
      });
}

void PeerShell::Impl::apply(PeerRuntime& s, const SendEvaluated& e) {
  const auto node = s.measured.extract(e.message.round);
  if (node.empty()) return;  // asked twice
  const Result<SiteMetrics>& measured = node.mapped();
  protocol::Message message = e.message;
  auto& body = std::get<protocol::Evaluated>(message.body);
  if (!measured) {
    body.reason = measured.error().message;
    (void)server->send(message);
    return;
  }
  const FeatureSums& sums = measured->sums;
  const std::uint64_t f = sums.sum.size();
  const std::vector<Blob> tensors{blob_of({f}, sums.sum),
                                  blob_of({f, f}, sums.products)};
  body.images = sums.images;
  body.kernel_distance_mean = measured->kernel_distance_mean;
  body.kernel_distance_std = measured->kernel_distance_std;
  body.recall = measured->recall;
  for (const Blob& tensor : tensors) body.tensors.push_back(tensor.meta);
  TensorFrames frames(tensors);
  (void)server->send(message, &frames);
}

}  // namespace mdgan
