# What `cmake --install` puts where: headers, both libraries, the program, the pkg-config file, the
# CMake package (excore::shared, excore::static), bash completion.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/excore)

install(DIRECTORY include/excore TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(TARGETS libexcore_shared libexcore_static EXPORT excore-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET excore)
    install(TARGETS excore RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

install(EXPORT excore-targets NAMESPACE excore:: DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/excore-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES cmake/excore-config.cmake ${PROJECT_BINARY_DIR}/excore-config-version.cmake
    DESTINATION ${package_dir})

# What libexcore.a needs at link time; the shared library brings its own. Not Requires.private: that
# would ask for what these libraries need when they are linked statically themselves, and Debian's
# libsqlite3-dev, for one, does not bring zlib's.
string(JOIN " " pc_libs ${SQLITE_LDFLAGS} ${POSTGRES_LDFLAGS} ${LIBUV_LDFLAGS} ${NGHTTP2_LDFLAGS} ${YAML_LDFLAGS} ${CRYPTO_LDFLAGS}
    ${LLHTTP_LDFLAGS})
option(EXCORE_PC_RPATH "excore.pc gives programs a run path to the library; off for a system's own packages" ON)
set(pc_rpath "")
if(EXCORE_PC_RPATH)
    set(pc_rpath "-Wl,-rpath,\${libdir} ")
endif()
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /) # so that the tree can be moved
configure_file(cmake/excore.pc.in ${PROJECT_BINARY_DIR}/excore.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/excore.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(EXISTS ${PROJECT_SOURCE_DIR}/completions/excore.bash)
    install(FILES completions/excore.bash RENAME excore
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endif()
# The pages with what they link to, and the examples to copy from: only what git knows is source.
install(FILES README.md CHANGELOG.md LICENSE ARCHITECTURE.md CONTRIBUTING.md SECURITY.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} USE_SOURCE_PERMISSIONS FILES_MATCHING
    PATTERN "*.c" PATTERN "*.h" PATTERN "*.md" PATTERN "*.sh" PATTERN "*.js" PATTERN "Makefile" PATTERN "CMakeLists.txt"
    PATTERN "build" EXCLUDE PATTERN "node_modules" EXCLUDE PATTERN "data*" EXCLUDE)
