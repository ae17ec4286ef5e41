// `mdgan-server invite` and `mdgan-server admit`; see common/keys/enrolment.h.
#pragma once

#include <string>

#include "common/base/result.h"
#include "server/command_options.h"

namespace mdgan {

// Adds the invitation to the list beside the server's key, in the place of an
// earlier one for that name. Returns its line; logs until when it is good.
// Fails with kAuthentication where a file will not do or the name has a key
// already, with kCheckpoint where the list cannot be written.
Result<std::string> invite(const InviteOptions& options);

// Appends the key of the peer that joined to authorized_peers; without a name,
// changes nothing. Returns what to show on stdout. Fails like invite().
Result<std::string> admit(const AdmitOptions& options);

}  // namespace mdgan
