// The one main() of all test programs.
#define CATCH_CONFIG_RUNNER  // where Catch2 2 puts its own code; 3 is a library
#include <catch2/catch.hpp>

int main(int argc, char** argv) {
  return Catch::Session().run(argc, argv);
}
