# Filled in by the packaging part: headers, libraries, pkg-config, CMake package.
