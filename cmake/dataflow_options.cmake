# Compiler flags that every target of the tree shares.
add_library(dataflow_options INTERFACE)
target_compile_options(dataflow_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow=local -Wno-missing-field-initializers
  -fno-gnu-unique $<$<BOOL:${DATAFLOW_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # The compiler collects its garbage from 128 MiB on, which takes a tenth of its time. Few sources need more than this.
  set(collect_garbage_late --param=ggc-min-expand=1000 --param=ggc-min-heapsize=1500000)
  target_compile_options(dataflow_options INTERFACE ${collect_garbage_late})
endif()

# What failed is named by its place in the tree: an object from ccache may be another checkout's.
target_compile_options(dataflow_options INTERFACE -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)

if(DATAFLOW_SANITIZE)
  # -fno-sanitize-recover: undefined behaviour fails the test that shows it (and compiles three times as fast).
  target_compile_options(dataflow_options INTERFACE -fsanitize=${DATAFLOW_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all $<$<BOOL:$<TARGET_PROPERTY:INCLUDES_CAF>>:-fno-sanitize=vptr,null>)
  target_link_options(dataflow_options INTERFACE -fsanitize=${DATAFLOW_SANITIZE})
  if(DATAFLOW_SANITIZE MATCHES "thread" AND NOT CAF_ROOT)
    # The stock CAF hides its happens-before edges from the sanitizer.
    execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/tsan-caf OUTPUT_VARIABLE caf_prefix
      OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    set(CAF_ROOT ${caf_prefix} CACHE PATH "The instrumented CAF")
  endif()
endif()

# For targets that include CAF's headers, whose queues downcast a list's anchor and whose spawn binds a reference to
# nothing: without these two checks, of which the address sanitizer sees what matters.
function(dataflow_includes_caf target)
  if(DATAFLOW_SANITIZE MATCHES "undefined")
    set_target_properties(${target} PROPERTIES INCLUDES_CAF ON)
  endif()
endfunction()

# Depend mode spares ccache a preprocessor run per miss; the base directory lets several checkouts share one cache.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_DEPEND=true CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
    CCACHE_NOHASHDIR=true "CCACHE_IGNOREOPTIONS=--param=ggc-min-*" ${CCACHE_PROGRAM})
endif()

# Several sources as one take half the time. A source that relies on the includes of one before it shows as the first of
# its group, and in the sanitizer builds, which take the sources the other way round.
option(DATAFLOW_UNITY "Compile several sources as one translation unit" OFF)
function(dataflow_unity target)
  if(NOT DATAFLOW_UNITY)
    return()
  endif()
  # That warning takes every file but the main one for a header.
  target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "[.]cpp$")
  string(REPLACE ";" "\n" lines "${sources}")
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${target}_sources.txt "${lines}\n")
  # So many at a time take no more than 4 GiB of memory, whatever is instrumented.
  if(DATAFLOW_SANITIZE)
    set(together 8)
  else()
    set(together 12)
  endif()
  execute_process(COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/unity_groups.py ${together}
    INPUT_FILE ${CMAKE_CURRENT_BINARY_DIR}/${target}_sources.txt OUTPUT_VARIABLE groups COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" groups "${groups}")
  set(members)
  foreach(line IN LISTS groups)
    string(REGEX MATCH "^(.*) (g[0-9]+)$" matched "${line}")
    set(path ${CMAKE_MATCH_1})
    set(group ${CMAKE_MATCH_2})
    get_source_file_property(options ${path} COMPILE_OPTIONS)
    get_source_file_property(definitions ${path} COMPILE_DEFINITIONS)
    if(NOT options AND NOT definitions)
      list(APPEND members ${group})
      list(APPEND of_${group} ${path})
    endif()
  endforeach()
  # Not CMake's own unity build: it includes sources by their absolute paths, so no two checkouts would have the same text
  # and ccache would find nothing of the other's.
  get_target_property(sources ${target} SOURCES)
  list(REMOVE_DUPLICATES members)
  foreach(group IN LISTS members)
    list(LENGTH of_${group} size)
    if(size GREATER 1)
      if(DATAFLOW_SANITIZE)
        list(REVERSE of_${group})
      endif()
      set(text)
      foreach(path IN LISTS of_${group})
        file(RELATIVE_PATH below ${PROJECT_SOURCE_DIR} ${path})
        string(APPEND text "#include \"${below}\"\n")
      endforeach()
      set(unity ${CMAKE_CURRENT_BINARY_DIR}/Unity/${target}_${group}.cpp)
      file(CONFIGURE OUTPUT ${unity} CONTENT "${text}" @ONLY)
      list(REMOVE_ITEM sources ${of_${group}})
      list(APPEND sources ${unity})
    endif()
  endforeach()
  set_property(TARGET ${target} PROPERTY SOURCES ${sources})
  target_compile_options(${target} PRIVATE -iquote ${PROJECT_SOURCE_DIR})
endfunction()
