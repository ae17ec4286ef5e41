// The peers that the server's own process hosts: --local-peers.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "peer/io/peer_shell.h"
#include "peer/train/peer_trainer.h"
#include "server/commands/local_data.h"
#include "server/commands/server_keys.h"
#include "server/options.h"
#include "server/run/run_directory.h"

namespace mdgan {

class LedgerBook;

// `endpoint`: where other peers connect to; empty when there are none. `zap`
// decides whom the peers' listener lets in; null without keys.
PeerShellOptions local_host(const ServerOptions& options,
                            const std::string& endpoint,
                            const RunDirectory& directory, LocalData local,
                            const std::optional<KeyFiles>& keys,
                            ZapHandler* zap);

// Of honest peers, and of hostile ones where --simulate-attack asks for them.
// `privacy` may be null.
PeerArithmetic local_arithmetic(const ServerOptions& options,
                                std::shared_ptr<const LedgerBook> privacy);

// That local peers will be able to write what they keep; fails with
// kCheckpoint.
Result<void> check_local_states(const ServerOptions& options,
                                const RunDirectory& directory);

// PeerShell::run() for a thread beside the server's, which no exception may
// leave.
Result<PeerShellReport> run_host(PeerShell& host);

}  // namespace mdgan
