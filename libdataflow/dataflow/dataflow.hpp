/// All that a job needs: #include <dataflow/dataflow.hpp>
#pragma once

#include <dataflow/api/async.hpp>
#include <dataflow/api/broadcast_stream.hpp>
#include <dataflow/api/environment.hpp>
#include <dataflow/api/interval_join.hpp>
#include <dataflow/api/job.hpp>
#include <dataflow/api/window_joins.hpp>
#include <dataflow/api/windowed_stream.hpp>
#include <dataflow/config/parameters.hpp>
#include <dataflow/record/record.hpp>
#include <dataflow/state/operator_list_state.hpp>
#include <dataflow/time/timestamp.hpp>
