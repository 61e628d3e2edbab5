/// Opens an operator with the descriptions of its stored states, and without what is in them: finds out before a job
/// starts whether the types of its states have changed in a way that nothing can restore.
///
/// Runs the open() of the user's functions. Threading: the caller's. Errors: incompatible_state naming operator, state
/// and field; whatever else goes wrong in open() is left to the job itself.
#pragma once

#include <dataflow/operators/operator_chain.hpp>
#include <dataflow/util/platform.hpp>

#include <vector>

namespace dataflow {

/// `inputs`: of the operator. `stage`: its name, uid and factory.
void try_states(const subtask_info& info, stage_config stage, unsigned inputs, const std::vector<state_info>& stored,
                const platform& world);

} // namespace dataflow
