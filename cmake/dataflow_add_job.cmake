# dataflow_add_job(<name> <source>...)
#
# Builds a job library, lib<name>.so, that `dataflow run` loads. Nothing of it is visible to other libraries but its
# entry point, so that two versions of a job, whose records share names but not layouts, can live in one process:
#   -fvisibility=hidden  its functions and types stay its own
#   -fno-gnu-unique      its static data does, too, and the library can be unloaded
# A project that chose no build type gets an optimised job.
function(dataflow_add_job name)
  if(NOT ARGN)
    message(FATAL_ERROR "dataflow_add_job(${name}): no source files given: list the job's .cpp files after its name")
  endif()
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE dataflow::dataflow)
  target_compile_features(${name} PRIVATE cxx_std_20)
  target_compile_options(${name} PRIVATE -fno-gnu-unique)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    target_compile_options(${name} PRIVATE -O2)
  endif()
  set_target_properties(${name} PROPERTIES
    PREFIX lib
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)
endfunction()
