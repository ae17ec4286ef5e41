// In-process runs of this program compute with LibTorch.
#include "peer/train/make_peer_trainer.h"
#include "server/train/make_round_trainer.h"
#include "tests/support/in_process_run.h"

namespace mdgan::test {

ServerArithmetic server_arithmetic(const ServerOptions& options) {
  return torch_server(options.codecs, options.device, 1);
}

PeerArithmetic peer_arithmetic() { return torch_peer("cpu", 1); }

}  // namespace mdgan::test
