# BoringSSL, static and hidden, built once and kept in a cache. Gives the
# targets BoringSSL::SSL and BoringSSL::Crypto, and BORINGSSL_ORIGIN,
# BORINGSSL_API and BORINGSSL_LICENSE. Where it comes from:
#
#   nothing set                 the pinned crate, fetched with cargo
#   -DBORINGSSL_CRATE=FILE      that crate, fetched by hand
#   -DBORINGSSL_SOURCE_DIR=DIR  a BoringSSL source tree, built here
#   -DBORINGSSL_ROOT=DIR        a built prefix: DIR/include/openssl, DIR/lib*
#   -DBORINGSSL_SYSTEM=ON       Debian's android-libboringssl-dev (old, no
#                               post-quantum key exchange); never by itself
#   -DBORINGSSL_OFFLINE=ON      fetch nothing, whatever else is set
#
# This file is part of the cache's key: an edit here costs a rebuild of every
# copy. The pin itself (version, tag, SHA-256) stands in Cargo.toml only.

set(BORINGSSL_ROOT "" CACHE PATH "A built BoringSSL")
set(BORINGSSL_SOURCE_DIR "" CACHE PATH "A BoringSSL source tree to build")
set(BORINGSSL_CRATE "" CACHE FILEPATH "The pinned crate, already downloaded")
option(BORINGSSL_SYSTEM "Use Debian's android-libboringssl-dev" OFF)
option(BORINGSSL_OFFLINE "Fetch nothing" OFF)
option(BORINGSSL_NO_ASM "Build BoringSSL without assembly (MSan)" OFF)
set(BORINGSSL_EXTRA_FLAGS "" CACHE STRING
    "Compiler flags for BoringSSL (sanitizers)")

if(DEFINED ENV{SALLYPORT_CACHE})
    set(_bssl_cache "$ENV{SALLYPORT_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(_bssl_cache "$ENV{XDG_CACHE_HOME}/sallyport")
elseif(DEFINED ENV{HOME})
    set(_bssl_cache "$ENV{HOME}/.cache/sallyport")
else()
    set(_bssl_cache "${CMAKE_BINARY_DIR}/cache")
endif()
set(BORINGSSL_CACHE "${_bssl_cache}" CACHE PATH "Where built copies are kept")

set(_bssl_dir "${CMAKE_CURRENT_LIST_DIR}")
file(READ "${_bssl_dir}/Cargo.toml" _bssl_pin)
string(REGEX MATCH "boring-sys = \"=([0-9.]+)\"" _ "${_bssl_pin}")
set(_bssl_version "${CMAKE_MATCH_1}")
string(REGEX MATCH "sha256 = \"([0-9a-f]+)\"" _ "${_bssl_pin}")
set(_bssl_sha256 "${CMAKE_MATCH_1}")
if(NOT _bssl_version OR NOT _bssl_sha256)
    message(FATAL_ERROR "${_bssl_dir}/Cargo.toml has no pin of boring-sys")
endif()

# The crate as cargo keeps it, if it is there and is the pinned one.
function(_bssl_find_crate out)
    set(${out} "" PARENT_SCOPE)
    if(DEFINED ENV{CARGO_HOME})
        set(home "$ENV{CARGO_HOME}")
    else()
        set(home "$ENV{HOME}/.cargo")
    endif()
    file(GLOB found
        "${home}/registry/cache/*/boring-sys-${_bssl_version}.crate")
    foreach(crate IN LISTS found)
        file(SHA256 "${crate}" sum)
        if(sum STREQUAL _bssl_sha256)
            set(${out} "${crate}" PARENT_SCOPE)
        endif()
    endforeach()
endfunction()

function(_bssl_run_cargo cargo)
    message(STATUS
        "Fetching BoringSSL (crate boring-sys ${_bssl_version}, 5.8 MB)")
    # In a copy of the manifest: the source tree may be read-only.
    set(work "${BORINGSSL_CACHE}/fetch")
    file(REMOVE_RECURSE "${work}")
    file(COPY "${_bssl_dir}/" DESTINATION "${work}")
    execute_process(COMMAND "${cargo}" --version OUTPUT_VARIABLE version)
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" version "${version}")
    set(command "${cargo}" fetch)
    if(version VERSION_LESS 1.68)
        # Debian 12's cargo would clone the whole index without this.
        set(command "${CMAKE_COMMAND}" -E env RUSTC_BOOTSTRAP=1
            "${cargo}" -Z sparse-registry fetch)
    endif()
    execute_process(COMMAND ${command} WORKING_DIRECTORY "${work}"
        RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "cargo could not fetch boring-sys ${_bssl_version}")
    endif()
endfunction()

function(_bssl_get_crate out)
    if(BORINGSSL_CRATE)
        file(SHA256 "${BORINGSSL_CRATE}" sum)
        if(NOT sum STREQUAL _bssl_sha256)
            message(FATAL_ERROR
                "${BORINGSSL_CRATE} is not boring-sys ${_bssl_version}: "
                "its SHA-256 is ${sum}, not ${_bssl_sha256}")
        endif()
        set(${out} "${BORINGSSL_CRATE}" PARENT_SCOPE)
        return()
    endif()
    _bssl_find_crate(crate)
    if(NOT crate)
        find_program(CARGO_EXECUTABLE cargo)
        if(BORINGSSL_OFFLINE OR NOT CARGO_EXECUTABLE)
            message(FATAL_ERROR
                "BoringSSL is needed. One of:\n"
                "  install cargo (apt-get install cargo) and run this again: "
                "it fetches boring-sys ${_bssl_version} (5.8 MB); no Rust is "
                "compiled\n"
                "  -DBORINGSSL_CRATE=FILE      that crate, fetched by hand\n"
                "  -DBORINGSSL_SOURCE_DIR=DIR  a BoringSSL source tree\n"
                "  -DBORINGSSL_ROOT=DIR        a built BoringSSL\n"
                "  -DBORINGSSL_SYSTEM=ON       Debian's old "
                "android-libboringssl-dev")
        endif()
        _bssl_run_cargo("${CARGO_EXECUTABLE}")
        _bssl_find_crate(crate)
        if(NOT crate)
            message(FATAL_ERROR
                "cargo fetched a boring-sys ${_bssl_version} whose SHA-256 is "
                "not the pinned one")
        endif()
    endif()
    set(${out} "${crate}" PARENT_SCOPE)
endfunction()

# Configure and build |source| in |work|, showing progress.
function(_bssl_compile source work)
    # -O3: at -O2 post-quantum handshakes cost 10 % more. -w: upstream's
    # -Werror must not stop anybody whose compiler knows a new warning.
    set(flags "-O3 -g1 -DNDEBUG -w ${BORINGSSL_EXTRA_FLAGS}")
    execute_process(
        COMMAND "${CMAKE_COMMAND}" -G "${CMAKE_GENERATOR}"
            -S "${source}" -B "${work}/build"
            -DCMAKE_BUILD_TYPE=Release
            -DBUILD_SHARED_LIBS=OFF
            -DBUILD_TESTING=OFF
            -DCMAKE_POSITION_INDEPENDENT_CODE=ON
            -DCMAKE_EXPORT_COMPILE_COMMANDS=OFF
            -DOPENSSL_NO_ASM=${BORINGSSL_NO_ASM}
            "-DCMAKE_C_COMPILER=${CMAKE_C_COMPILER}"
            "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}"
            "-DCMAKE_C_FLAGS_RELEASE=${flags}"
            "-DCMAKE_CXX_FLAGS_RELEASE=${flags}"
        OUTPUT_FILE "${work}/configure.log"
        ERROR_FILE "${work}/configure.log"
        RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR
            "BoringSSL's configuration failed: see ${work}/configure.log")
    endif()
    cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
    execute_process(
        COMMAND "${CMAKE_COMMAND}" --build "${work}/build"
            --target ssl crypto --parallel ${cores}
        COMMAND sh "${_bssl_dir}/progress.sh" "${work}/build.log"
        RESULTS_VARIABLE results)
    list(GET results 0 result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR
            "BoringSSL's build failed: see ${work}/build.log")
    endif()
endfunction()

# Build libssl.a and libcrypto.a from |source| (empty: the pinned crate) into
# |prefix|, unless they are there. Two builds at once wait for each other.
function(_bssl_build source prefix)
    file(LOCK "${prefix}.lock" GUARD FUNCTION TIMEOUT 1800)
    if(EXISTS "${prefix}/ok")
        return()
    endif()
    set(work "${prefix}.build")
    file(REMOVE_RECURSE "${work}" "${prefix}")
    file(MAKE_DIRECTORY "${work}")
    if(NOT source)
        _bssl_get_crate(crate)
        file(ARCHIVE_EXTRACT INPUT "${crate}" DESTINATION "${work}/src")
        set(source
            "${work}/src/boring-sys-${_bssl_version}/deps/boringssl")
    endif()
    message(STATUS "Building BoringSSL, once, into ${prefix} (some minutes)")
    _bssl_compile("${source}" "${work}")
    file(COPY "${source}/include" "${source}/LICENSE" DESTINATION "${prefix}")
    file(COPY "${work}/build/libssl.a" "${work}/build/libcrypto.a"
        DESTINATION "${prefix}/lib")
    file(REMOVE_RECURSE "${work}")
    file(TOUCH "${prefix}/ok")
endfunction()

# Where a copy with these very flags, this compiler and this source lives.
function(_bssl_name_prefix out)
    if(BORINGSSL_SOURCE_DIR)
        set(source "dir-${BORINGSSL_SOURCE_DIR}")
        set(name "local")
    else()
        set(source "${_bssl_sha256}")
        set(name "${_bssl_version}")
    endif()
    file(SHA256 "${_bssl_dir}/BoringSSL.cmake" self)
    string(JOIN "|" key "${source}" "${self}"
        "${CMAKE_C_COMPILER}" "${CMAKE_C_COMPILER_VERSION}"
        "${CMAKE_CXX_COMPILER}" "${CMAKE_CXX_COMPILER_VERSION}"
        "${CMAKE_SYSTEM_PROCESSOR}"
        "${BORINGSSL_EXTRA_FLAGS}" "${BORINGSSL_NO_ASM}")
    string(SHA256 key "${key}")
    string(SUBSTRING "${key}" 0 12 key)
    set(${out} "${BORINGSSL_CACHE}/boringssl-${name}-${key}" PARENT_SCOPE)
endfunction()

if(BORINGSSL_ROOT)
    set(_bssl_prefix "${BORINGSSL_ROOT}")
    set(BORINGSSL_ORIGIN "${BORINGSSL_ROOT}")
elseif(BORINGSSL_SYSTEM)
    set(_bssl_prefix "/usr")
    set(BORINGSSL_ORIGIN "Debian's android-libboringssl")
else()
    if(BORINGSSL_SOURCE_DIR)
        set(BORINGSSL_ORIGIN "${BORINGSSL_SOURCE_DIR}")
    else()
        set(BORINGSSL_ORIGIN "crate boring-sys ${_bssl_version}")
    endif()
    _bssl_name_prefix(_bssl_prefix)
    _bssl_build("${BORINGSSL_SOURCE_DIR}" "${_bssl_prefix}")
endif()
set(BORINGSSL_LICENSE "${_bssl_prefix}/LICENSE")

# Looked up anew each time: another preset or setting means another copy.
unset(BORINGSSL_INCLUDE CACHE)
unset(BORINGSSL_SSL_LIB CACHE)
unset(BORINGSSL_CRYPTO_LIB CACHE)
if(BORINGSSL_SYSTEM AND NOT BORINGSSL_ROOT)
    set(_bssl_include "/usr/include/android")
    set(_bssl_lib "/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android")
else()
    set(_bssl_include "${_bssl_prefix}/include")
    set(_bssl_lib "${_bssl_prefix}/lib" "${_bssl_prefix}/lib64"
        "${_bssl_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()
find_path(BORINGSSL_INCLUDE openssl/base.h
    PATHS "${_bssl_include}" NO_DEFAULT_PATH REQUIRED)
find_library(BORINGSSL_SSL_LIB NAMES libssl.a ssl
    PATHS ${_bssl_lib} NO_DEFAULT_PATH REQUIRED)
find_library(BORINGSSL_CRYPTO_LIB NAMES libcrypto.a crypto
    PATHS ${_bssl_lib} NO_DEFAULT_PATH REQUIRED)

file(STRINGS "${BORINGSSL_INCLUDE}/openssl/base.h" BORINGSSL_API
    REGEX "define BORINGSSL_API_VERSION")
string(REGEX REPLACE ".* " "" BORINGSSL_API "${BORINGSSL_API}")
if(NOT BORINGSSL_API)
    message(FATAL_ERROR "${BORINGSSL_INCLUDE} is not BoringSSL")
endif()
message(STATUS "BoringSSL: ${BORINGSSL_ORIGIN}, API ${BORINGSSL_API}, "
    "${BORINGSSL_SSL_LIB}")
if(BORINGSSL_API LESS 34)
    message(WARNING "This BoringSSL is old: it has no X25519MLKEM768 and lacks "
        "the fixes of the last years.")
endif()

find_package(Threads REQUIRED)
if(BORINGSSL_SSL_LIB MATCHES "\\.a$")
    set(_bssl_type STATIC)
else()
    set(_bssl_type SHARED)
endif()
add_library(BoringSSL::Crypto ${_bssl_type} IMPORTED)
set_target_properties(BoringSSL::Crypto PROPERTIES
    IMPORTED_LOCATION "${BORINGSSL_CRYPTO_LIB}"
    INTERFACE_INCLUDE_DIRECTORIES "${BORINGSSL_INCLUDE}"
    INTERFACE_LINK_LIBRARIES Threads::Threads)
add_library(BoringSSL::SSL ${_bssl_type} IMPORTED)
set_target_properties(BoringSSL::SSL PROPERTIES
    IMPORTED_LOCATION "${BORINGSSL_SSL_LIB}"
    INTERFACE_INCLUDE_DIRECTORIES "${BORINGSSL_INCLUDE}"
    INTERFACE_LINK_LIBRARIES BoringSSL::Crypto)
if(_bssl_type STREQUAL "STATIC")
    # libssl is C++ inside: the C++ compiler links, with its runtime static, so
    # that the programs run where no libstdc++ is installed.
    set_target_properties(BoringSSL::SSL PROPERTIES
        IMPORTED_LINK_INTERFACE_LANGUAGES CXX
        INTERFACE_LINK_OPTIONS "-static-libstdc++;-static-libgcc")
endif()
