// Makes a peer's trainer. LibTorch stays behind the implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/privacy/ledger_book.h"
#include "peer/train/peer_trainer.h"
#include "protocol/training_spec.h"

namespace mdgan {

// Makes a trainer for the algorithm of `spec`. `shard` indexes into `data`.
// `device` is "cpu", "cuda" or "cuda:i". Fails with kConfiguration (unknown
// model, no such device) or kData (shard smaller than a batch; labels missing
// for a conditional model). With `privacy`, which outlives the trainer, what
// leaves it is private, and it fails as check_private(), too.
Result<std::unique_ptr<PeerTrainer>> make_peer_trainer(
    const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
    std::vector<std::uint32_t> shard, PeerId peer, const std::string& device,
    const LedgerBook* privacy = nullptr);

// The arithmetic of mdgan-peer: make_peer_trainer() on `device`, with `threads`
// LibTorch threads each.
PeerArithmetic torch_peer(const std::string& device, int threads,
                          std::shared_ptr<const LedgerBook> privacy = nullptr);

}  // namespace mdgan
