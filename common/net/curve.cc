#include "common/net/curve.h"

#include <sodium.h>

namespace mdgan {

void use_keys(zmq::socket_t& socket, const ClientKeys& keys) {
  namespace opt = zmq::sockopt;
  socket.set(opt::curve_serverkey, to_z85(keys.server));
  socket.set(opt::curve_publickey, to_z85(keys.own.public_key));
  std::string secret = keys.own.secret_key.z85();
  socket.set(opt::curve_secretkey, secret);
  sodium_memzero(secret.data(), secret.size());
}

void require_keys(zmq::socket_t& socket, const KeyPair& own,
                  const std::string& domain) {
  namespace opt = zmq::sockopt;
  socket.set(opt::curve_server, true);
  std::string secret = own.secret_key.z85();
  socket.set(opt::curve_secretkey, secret);
  sodium_memzero(secret.data(), secret.size());
  socket.set(opt::zap_domain, domain);
}

}  // namespace mdgan
