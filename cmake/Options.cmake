# Language, warnings, sanitizers: what every target of ours is built with.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")

add_library(excore_options INTERFACE)
target_compile_definitions(excore_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(excore_options INTERFACE
    -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wvla -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings -Wno-missing-field-initializers
    -fno-common -fstack-protector-strong)

add_link_options(-Wl,--as-needed) # what links libexcore carries only the libraries that it uses
if(EXCORE_SANITIZE)
    add_compile_options(-fsanitize=${EXCORE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${EXCORE_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(EXCORE_COVERAGE)
    add_compile_options(--coverage -O0)
    add_link_options(--coverage)
endif()
if(EXCORE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
