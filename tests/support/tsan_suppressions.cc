// What the thread sanitizer does not report, compiled into the tests that it
// watches. Debian's libzmq is built without it: the sanitizer sees libzmq's
// threads allocate, copy and free messages, but not the atomic operations by
// which they hand them to each other, and takes each hand-over for a race. Left
// out are therefore what libzmq calls, what libsodium calls, by which libzmq
// opens the messages of peers with keys, and the three places of common/net
// where our code meets what another thread of libzmq made: a message that
// arrives, the owner of one that was sent, and a connection that is cut, whose
// descriptor libzmq closes and the next file of ours gets.
extern "C" const char* __tsan_default_suppressions();   // NOLINT: its name
extern "C" const char* __tsan_default_suppressions() {  // NOLINT: its name
  return "called_from_lib:libzmq.so\n"
         "called_from_lib:libsodium.so\n"
         "race:^mdgan::Receiver::take(\n"
         "race:^mdgan::ConnectionGuard::cut(\n"
         "race:^release_owner$\n";
}
