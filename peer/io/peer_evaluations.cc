// What a peer does when it is asked how good the generator is.

#include <utility>

#include "common/evaluate/site_metrics.h"
#include "peer/io/peer_shell_impl.h"

namespace mdgan {
namespace {

// Further ones are refused: the server asks faster than this peer measures.
constexpr std::size_t kAtOnce = 4;

Blob blob_of(std::vector<std::uint64_t> dims,
             const std::vector<double>& values) {
  return copy_blob({protocol::DType::kFloat64, std::move(dims)},
                   std::as_bytes(std::span(values)));
}

}  // namespace

void PeerShell::Impl::apply(PeerRuntime& s, const MeasureGenerator& e) {
  const auto answer = [this, &s,
                       round = e.round](Result<SiteMetrics> measured) {
    s.measured.insert_or_assign(round, std::move(measured));
    feed(s, GeneratorMeasured{round});
  };
  if (!s.evaluation) {
    answer(Error{"it has no images held out"});
    return;
  }
  if (arrived.size() < 2) {
    answer(Error{"what it was sent is not what its images are measured with"});
    return;
  }
  if (s.measuring >= kAtOnce) {
    answer(Error{"it still measures older ones"});
    return;
  }
  ++s.measuring;
  SiteQuestion question{e.classifier, {}, {arrived[0], arrived[1]}};
  if (arrived.size() > 2) question.file = arrived[2];
  s.evaluation->run(
      [&s, answer, question = std::move(question)]() -> Lane::Continuation {
        return [&s, answer, measured = s.measure(question)] {
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
