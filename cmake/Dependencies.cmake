# Libraries from Debian packages; see tools/install-packages.sh for the list.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(POSTGRES REQUIRED IMPORTED_TARGET libpq>=14)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)

# llhttp: C files of Debian's node-llhttp (bookworm), or libllhttp-dev (trixie). Built with -w: not ours.
pkg_check_modules(LLHTTP IMPORTED_TARGET QUIET libllhttp)
if(LLHTTP_FOUND)
    add_library(excore_llhttp ALIAS PkgConfig::LLHTTP)
else()
    find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp REQUIRED)
    find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp REQUIRED)
    add_library(excore_llhttp OBJECT
        ${LLHTTP_SOURCE_DIR}/llhttp.c ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c)
    target_include_directories(excore_llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
    target_compile_options(excore_llhttp PRIVATE -w)
endif()
