// Catch2 2 (Debian 12) and 3 (Debian 13) behind one include.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

using Catch::Approx;
#else
#include <catch2/catch.hpp>  // puts Approx into the global namespace itself
#endif
