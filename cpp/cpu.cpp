#include "cpu.hpp"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace unrolled {
namespace {

#if defined(__x86_64__)

struct Features {
    bool amd = false, avx2 = false, avx512 = false, avx512_bf16 = false, amx = false;
};

unsigned long enabled_state() {
    unsigned low = 0, high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<unsigned long>(high) << 32) | low;
}

// A bit of CPUID counts only where the operating system saves the registers it brings.
Features detect() {
    Features found;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(0, &a, &b, &c, &d)) return found;
    found.amd = b == signature_AMD_ebx && c == signature_AMD_ecx && d == signature_AMD_edx;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
    const bool fma = c >> 12 & 1, osxsave = c >> 27 & 1;
    if (!osxsave || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    const unsigned long state = enabled_state();
    const bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6;
    const bool tiles = (state & 0x60000) == 0x60000;
    found.avx2 = ymm && fma && (b >> 5 & 1);
    const unsigned f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    found.avx512 = found.avx2 && zmm && (b & f_dq_bw_vl) == f_dq_bw_vl;
    const bool amx = (d >> 22 & 1) && (d >> 24 & 1);
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) found.avx512_bf16 = found.avx512 && (a >> 5 & 1);
    found.amx = found.avx512_bf16 && tiles && amx;
#ifdef UNROLLED_EMULATE_TILES
    found.amx = found.avx512_bf16;
#endif
    return found;
}

const Features& cpu() {
    static const Features found = detect();
    return found;
}

// Linux gives a process the tiles' registers only when it asks for them.
bool may_use_tiles() {
#if defined(UNROLLED_EMULATE_TILES)
    return true;
#elif defined(__linux__)
    constexpr int kRequestPermission = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
    return false;
#endif
}

#endif  // __x86_64__

const Kernels* give(const Kernels* table, bool has, const char* lacking, const char** reason) {
    if (!has)
        *reason = lacking;
    else if (!table)
        *reason = "the compiler that built the package could not make it";
    else
        return table;
    return nullptr;
}

}  // namespace

const Kernels* find_path(const char* name, const char** reason) {
    if (!std::strcmp(name, "portable")) return give(portable_kernels(), true, "", reason);
#if defined(__x86_64__)
    if (!std::strcmp(name, "avx2")) return give(avx2_kernels(), cpu().avx2, "the CPU has no AVX2 with FMA", reason);
    if (!std::strcmp(name, "avx512"))
        return give(avx512_kernels(), cpu().avx512, "the CPU has no AVX-512 (F, BW, DQ, VL)", reason);
    if (!std::strcmp(name, "avx512_bf16"))
        return give(avx512_bf16_kernels(), cpu().avx512_bf16, "the CPU has no AVX-512 BF16", reason);
    if (!std::strcmp(name, "amx")) {
        static const bool allowed = cpu().amx && may_use_tiles();
        if (cpu().amx && !allowed) return give(nullptr, false, "the operating system denies the use of AMX tiles", reason);
        return give(amx_kernels(), cpu().amx, "the CPU has no AMX with bfloat16", reason);
    }
#endif
    return give(nullptr, false, "it is for x86-64 CPUs", reason);
}

bool gains_by_bfloat16(const char* name) {
#if defined(__x86_64__)
    return !std::strcmp(name, "amx") || (!std::strcmp(name, "avx512_bf16") && cpu().amd);
#else
    return false;
#endif
}

}  // namespace unrolled
