# find_package(excore): excore::shared, and excore::static with what it links.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    # Only excore::static refers to these; a program on the shared library needs none of them.
    pkg_check_modules(SQLITE QUIET IMPORTED_TARGET sqlite3)
    pkg_check_modules(POSTGRES QUIET IMPORTED_TARGET libpq)
    pkg_check_modules(LIBUV QUIET IMPORTED_TARGET libuv)
    pkg_check_modules(NGHTTP2 QUIET IMPORTED_TARGET libnghttp2)
    pkg_check_modules(YAML QUIET IMPORTED_TARGET yaml-0.1)
    pkg_check_modules(LLHTTP QUIET IMPORTED_TARGET libllhttp)
endif()
include(${CMAKE_CURRENT_LIST_DIR}/excore-targets.cmake)
