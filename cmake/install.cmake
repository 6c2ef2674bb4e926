# What `cmake --install` puts where: the programs, and the client library as a CMake package. Only of a
# build of our own: who adds this tree to another project installs that one.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(zabmq_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/zabmq)
foreach(name types wire client)
  set_target_properties(zabmq_${name} PROPERTIES EXPORT_NAME ${name})
endforeach()
install(TARGETS zabmq_types zabmq_wire zabmq_client EXPORT zabmq_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS zabmqd zabmq RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# What a program that links the client can include.
foreach(header admin client publisher result subscriber types)
  install(FILES lib/include/zabmq/${header}.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/zabmq)
endforeach()
install(EXPORT zabmq_targets NAMESPACE zabmq:: DESTINATION ${zabmq_package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/zabmqConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES cmake/zabmqConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/zabmqConfigVersion.cmake
  DESTINATION ${zabmq_package_dir})
