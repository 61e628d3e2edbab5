// A pipeline in the actor system of a user's own program, against an installed copy.
#include <dataflow/actors/actors.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <algorithm>

int main() {
  caf::actor_system_config config;
  dataflow::actors::configure(config);
  caf::actor_system system{config};
  dataflow::environment_options options;
  options.runner = std::make_shared<dataflow::actors::embedded_cluster>(system);
  dataflow::environment env{options};
  auto squares = env.from_elements<std::int64_t>({1, 2, 3}).map([](std::int64_t n) { return n * n; }).collect();
  std::sort(squares.begin(), squares.end());
  return squares == std::vector<std::int64_t>{1, 4, 9} ? 0 : 1;
}
