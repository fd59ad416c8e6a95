# llhttp: gives the target llhttp::llhttp. The system's libllhttp where there
# is one (Debian 13), else the generated C that Debian 12 ships for node, in
# strict mode: its default lets much more through.
find_path(LLHTTP_INCLUDE llhttp.h)
find_library(LLHTTP_LIB llhttp)
if(LLHTTP_INCLUDE AND LLHTTP_LIB)
    add_library(llhttp::llhttp UNKNOWN IMPORTED)
    set_target_properties(llhttp::llhttp PROPERTIES
        IMPORTED_LOCATION "${LLHTTP_LIB}"
        INTERFACE_INCLUDE_DIRECTORIES "${LLHTTP_INCLUDE}")
    message(STATUS "llhttp: ${LLHTTP_LIB}")
else()
    find_path(LLHTTP_SOURCE llhttp.c PATHS /usr/share/llhttp)
    find_path(LLHTTP_SOURCE_INCLUDE llhttp.h
        PATHS /usr/share/include/llhttp)
    if(NOT LLHTTP_SOURCE OR NOT LLHTTP_SOURCE_INCLUDE)
        message(FATAL_ERROR "llhttp is needed: apt-get install libllhttp-dev "
            "(Debian 13) or node-llhttp (Debian 12)")
    endif()
    add_library(llhttp STATIC
        "${LLHTTP_SOURCE}/api.c"
        "${LLHTTP_SOURCE}/http.c"
        "${LLHTTP_SOURCE}/llhttp.c")
    target_include_directories(llhttp SYSTEM PUBLIC
        "${LLHTTP_SOURCE_INCLUDE}")
    target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
    target_compile_options(llhttp PRIVATE -w)
    add_library(llhttp::llhttp ALIAS llhttp)
    message(STATUS "llhttp: ${LLHTTP_SOURCE}, compiled in strict mode")
endif()
