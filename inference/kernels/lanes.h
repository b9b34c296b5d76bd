/* Vectors of one number for each of LANES outputs, in the two instruction sets that this library knows.

   Weights are unsigned bytes, activations signed ones. An Entry holds four inputs of each output, side by side, as the
   instructions take them; a block of inputs is at most eight entries.
*/
#pragma once
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL16 _Pragma("GCC unroll 16")
enum { ENTRIES = 8 };

INLINE int four_bytes(const int8_t *bytes) {
    int number;
    memcpy(&number, bytes, 4);
    return number;
}

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VNNI__)

enum { LANES = 16, ROWS = 8 }; /* ROWS: so many rows keep their sums in registers */
typedef __m512 Floats;
typedef __m512i Entry;

INLINE Floats zeros(void) { return _mm512_setzero_ps(); }
INLINE Floats all(float number) { return _mm512_set1_ps(number); }
INLINE Floats load_halves(const uint8_t *from) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from)); }
INLINE void store(float *to, Floats numbers) { _mm512_storeu_ps(to, numbers); }
INLINE Floats times(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
INLINE Floats times_plus(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
INLINE Entry load_entry(const uint8_t *from) { return _mm512_loadu_si512(from); }
INLINE Entry low_halves(Entry bytes) { return _mm512_and_si512(bytes, _mm512_set1_epi8(15)); }
INLINE Entry high_halves(Entry bytes) { return low_halves(_mm512_srli_epi16(bytes, 4)); }

/* For each lane the products of `count` entries with the activations, summed exactly. */
INLINE Floats dot(const Entry *weights, const int8_t *x, const int bits, const int count) {
    (void)bits;
    __m512i sum = _mm512_setzero_si512();
    UNROLL for (int i = 0; i < count; i++)
        sum = _mm512_dpbusd_epi32(sum, weights[i], _mm512_set1_epi32(four_bytes(x + 4 * i)));
    return _mm512_cvtepi32_ps(sum);
}

INLINE Floats load(const float *from) { return _mm512_loadu_ps(from); }
INLINE Floats larger_magnitudes(Floats a, Floats b) { return _mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)); }
INLINE float largest(Floats numbers) { return _mm512_reduce_max_ps(numbers); }

/* Rounds to bytes, and gives the sum of these. */
INLINE unsigned store_rounded(int8_t *to, Floats numbers) {
    __m512i rounded = _mm512_cvtps_epi32(numbers);
    _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(rounded));
    return (unsigned)_mm512_reduce_add_epi32(rounded);
}

INLINE Floats plus(Floats a, Floats b) { return _mm512_add_ps(a, b); }
INLINE Floats minus(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
INLINE Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
INLINE float sum_of(Floats numbers) { return _mm512_reduce_add_ps(numbers); }
/* numbers * 2^powers; the powers are whole. */
INLINE Floats shifted(Floats numbers, Floats powers) { return _mm512_scalef_ps(numbers, powers); }
INLINE Floats rounded(Floats numbers) { return _mm512_roundscale_ps(numbers, 0); }
/* A bit for each lane. */
INLINE unsigned at_least(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
INLINE Floats where_at_least(Floats a, Floats b, Floats y) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), y); /* else 0 */
}
/* Of lanes whose bit is not set, the other number. */
INLINE Floats where_set(const uint8_t *bits, Floats numbers, Floats others) {
    uint16_t set;
    memcpy(&set, bits, sizeof set);
    return _mm512_mask_mov_ps(others, set, numbers);
}

INLINE Floats pairs(Floats a, Floats b) {
    return plus(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
}

INLINE Floats fours(Floats a, Floats b) {
    __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
    return plus(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}

/* The sum of each of LANES vectors, side by side. */
INLINE Floats sums(const Floats *of) {
    Floats quarter[4], q0, q1;
    UNROLL for (int i = 0; i < 4; i++)
        quarter[i] = fours(pairs(of[4 * i], of[4 * i + 1]), pairs(of[4 * i + 2], of[4 * i + 3]));
    q0 = plus(_mm512_shuffle_f32x4(quarter[0], quarter[1], 0x88), _mm512_shuffle_f32x4(quarter[0], quarter[1], 0xdd));
    q1 = plus(_mm512_shuffle_f32x4(quarter[2], quarter[3], 0x88), _mm512_shuffle_f32x4(quarter[2], quarter[3], 0xdd));
    return plus(_mm512_shuffle_f32x4(q0, q1, 0x88), _mm512_shuffle_f32x4(q0, q1, 0xdd));
}

#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

enum { LANES = 8, ROWS = 4 };
typedef __m256 Floats;
typedef __m256i Entry;

INLINE Floats zeros(void) { return _mm256_setzero_ps(); }
INLINE Floats all(float number) { return _mm256_set1_ps(number); }
INLINE Floats load_halves(const uint8_t *from) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from)); }
INLINE void store(float *to, Floats numbers) { _mm256_storeu_ps(to, numbers); }
INLINE Floats times(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
INLINE Floats times_plus(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
INLINE Entry load_entry(const uint8_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
INLINE Entry low_halves(Entry bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }
INLINE Entry high_halves(Entry bytes) { return low_halves(_mm256_srli_epi16(bytes, 4)); }

/* Eight entries of two products of 15 and 127 stay below 2^15, where sums of pairs would saturate. */
INLINE __m256i dot_of_halves(const Entry *weights, const int8_t *x, const int high, const int count) {
    __m256i pairs = _mm256_setzero_si256();
    UNROLL for (int i = 0; i < count; i++) {
        __m256i four = _mm256_set1_epi32(four_bytes(x + 4 * i));
        __m256i half = high ? high_halves(weights[i]) : low_halves(weights[i]);
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(half, four));
    }
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE Floats dot(const Entry *weights, const int8_t *x, const int bits, const int count) {
    __m256i sum = dot_of_halves(weights, x, 0, count);
    if (bits == 8) sum = _mm256_add_epi32(sum, _mm256_slli_epi32(dot_of_halves(weights, x, 1, count), 4));
    return _mm256_cvtepi32_ps(sum);
}

INLINE Floats load(const float *from) { return _mm256_loadu_ps(from); }

INLINE Floats larger_magnitudes(Floats a, Floats b) {
    Floats sign = all(-0.0f);
    return _mm256_max_ps(_mm256_andnot_ps(sign, a), _mm256_andnot_ps(sign, b));
}

INLINE float largest(Floats numbers) {
    float of[LANES];
    store(of, numbers);
    for (int i = 1; i < LANES; i++) of[0] = of[i] > of[0] ? of[i] : of[0];
    return of[0];
}

INLINE unsigned store_rounded(int8_t *to, Floats numbers) {
    int32_t of[LANES];
    unsigned sum = 0;
    _mm256_storeu_si256((__m256i *)of, _mm256_cvtps_epi32(numbers));
    for (int i = 0; i < LANES; i++) {
        to[i] = (int8_t)of[i];
        sum += (unsigned)of[i];
    }
    return sum;
}

INLINE Floats plus(Floats a, Floats b) { return _mm256_add_ps(a, b); }
INLINE Floats minus(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
INLINE Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
INLINE Floats rounded(Floats numbers) { return _mm256_round_ps(numbers, 8); } /* to nearest, no exceptions */
INLINE unsigned at_least(Floats a, Floats b) { return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)); }
INLINE Floats where_at_least(Floats a, Floats b, Floats y) { return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ), y); }
INLINE Floats where_set(const uint8_t *bits, Floats numbers, Floats others) {
    __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(*bits), each), each);
    return _mm256_blendv_ps(others, numbers, _mm256_castsi256_ps(set));
}

INLINE float sum_of(Floats numbers) {
    float of[LANES], result = 0;
    store(of, numbers);
    for (int i = 0; i < LANES; i++) result += of[i];
    return result;
}

INLINE Floats shifted(Floats numbers, Floats powers) {
    __m256i exponents = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(powers), _mm256_set1_epi32(127)), 23);
    return times(numbers, _mm256_castsi256_ps(exponents));
}

INLINE Floats sums(const Floats *of) {
    Floats low = _mm256_hadd_ps(_mm256_hadd_ps(of[0], of[1]), _mm256_hadd_ps(of[2], of[3]));
    Floats high = _mm256_hadd_ps(_mm256_hadd_ps(of[4], of[5]), _mm256_hadd_ps(of[6], of[7]));
    return plus(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

#else
#error "this processor has neither AVX-512 with VNNI nor AVX2 with FMA and F16C"
#endif

/* e^x for x up to 0, relative error 2e-7; below -87.3 it stays at 1e-38, which is nothing beside 1. What is no number
   stays none. Cody and Waite's reduction, a polynomial of degree 6. */
INLINE Floats exponential(Floats x) {
    x = larger(all(-87.3f), x); /* of two numbers of which one is none, the second one is taken */
    Floats n = rounded(times(x, all(1.44269504f)));
    Floats r = times_plus(n, all(-0.693359375f), x);
    r = times_plus(n, all(2.12194440e-4f), r);
    Floats y = all(1.0f / 720);
    y = times_plus(y, r, all(1.0f / 120));
    y = times_plus(y, r, all(1.0f / 24));
    y = times_plus(y, r, all(1.0f / 6));
    y = times_plus(y, r, all(0.5f));
    y = times_plus(y, r, all(1.0f));
    y = times_plus(y, r, all(1.0f));
    return shifted(y, n);
}
