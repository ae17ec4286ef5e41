// What the thread sanitizer does not report, compiled into the tests that it
// watches. Debian's libzmq is built without it: the sanitizer sees libzmq's
// threads allocate, copy and free messages, but not the atomic operations by
// which they hand them to each other, and takes each hand-over for a race. Left
// out are therefore what libzmq calls, and the two places of common/net where
// our code meets what another thread of libzmq made: a message that arrives,
// and the owner of one that was sent.
extern "C" const char* __tsan_default_suppressions();   // NOLINT: its name
extern "C" const char* __tsan_default_suppressions() {  // NOLINT: its name
  return "called_from_lib:libzmq.so\n"
         "race:^mdgan::Receiver::take(\n"
         "race:^release_owner$\n";
}
