# cmake --install, and what find_package(dataflow) finds afterwards.
include(CMakePackageConfigHelpers)
set(dataflow_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/dataflow)

install(TARGETS dataflow EXPORT dataflow_targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET dataflow_cli)
  install(TARGETS dataflow_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY libdataflow/dataflow DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY actors/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dataflow/actors FILES_MATCHING PATTERN "*.hpp")
install(EXPORT dataflow_targets NAMESPACE dataflow:: DESTINATION ${dataflow_package_dir})
configure_package_config_file(cmake/dataflow-config.cmake.in ${CMAKE_BINARY_DIR}/dataflow-config.cmake
  INSTALL_DESTINATION ${dataflow_package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/dataflow-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/dataflow-config.cmake ${CMAKE_BINARY_DIR}/dataflow-config-version.cmake
  cmake/dataflow_add_job.cmake cmake/FindCAF.cmake DESTINATION ${dataflow_package_dir})
