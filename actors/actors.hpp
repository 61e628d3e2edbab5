/// All that a program with actors of its own needs: #include <dataflow/actors/actors.hpp>
///
/// A cluster in the program's own actor_system, sources that its actors feed, sinks that send to them. See
/// docs/actors.md.
#pragma once

#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/actors/connectors/actor_ask.hpp>
#include <dataflow/actors/connectors/actor_sink.hpp>
#include <dataflow/actors/connectors/actor_source.hpp>
#include <dataflow/actors/errors.hpp>
#include <dataflow/dataflow.hpp>
