/* The inner loops of Eden, called through ctypes (see kernels.py, which has the same in numpy).

   Offsets and places count items, not bytes. Windows are given in the order of their places. No function allocates, none
   keeps state, and none reads or writes outside what it is given, provided that the offsets are right. */

#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define EDEN_AVX2 1
#endif

#define INVALID 255

/* Bytes of one table entry each; letters lie in 0x40 ... 0x7f, so four shuffles of 16 entries look 32 of them up at once. */

static int has_avx2(void) {
#ifdef EDEN_AVX2
    static int known = -1;
    if (known < 0) known = __builtin_cpu_supports("avx2") ? 1 : 0;
    return known;
#else
    return 0;
#endif
}

#ifdef EDEN_AVX2
#define AVX2 __attribute__((target("avx2")))

typedef struct { __m256i part[4]; } letters_t;

AVX2 static inline letters_t letters_of(const uint8_t *table) {
    letters_t letters;
    for (int i = 0; i < 4; i++)
        letters.part[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table + 0x40 + 16 * i)));
    return letters;
}

/* Look 32 bytes up; bytes that are no letters become INVALID. */
AVX2 static inline __m256i look_up(const letters_t *letters, __m256i bytes) {
    __m256i low = _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f));
    __m256i high = _mm256_and_si256(bytes, _mm256_set1_epi8((char)0xf0));
    __m256i found = _mm256_setzero_si256(), known = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        __m256i here = _mm256_cmpeq_epi8(high, _mm256_set1_epi8((char)(0x40 + 16 * i)));
        found = _mm256_or_si256(found, _mm256_and_si256(here, _mm256_shuffle_epi8(letters->part[i], low)));
        known = _mm256_or_si256(known, here);
    }
    return _mm256_or_si256(found, _mm256_andnot_si256(known, _mm256_set1_epi8((char)INVALID)));
}

AVX2 static inline int any_invalid(__m256i entries) {
    return _mm256_movemask_epi8(_mm256_cmpeq_epi8(entries, _mm256_set1_epi8((char)INVALID)));
}

AVX2 static inline void widen(__m256i entries, int64_t *out) {
    for (int half = 0; half < 2; half++) {
        __m128i some = half ? _mm256_extracti128_si256(entries, 1) : _mm256_castsi256_si128(entries);
        for (int i = 0; i < 4; i++) {
            _mm256_storeu_si256((__m256i *)(out + 16 * half + 4 * i), _mm256_cvtepu8_epi64(some));
            some = _mm_srli_si128(some, 4);
        }
    }
}

AVX2 static int64_t entries_avx2(const uint8_t *in, int64_t n, const uint8_t *table, uint8_t *a, uint8_t *b, int wide) {
    letters_t letters = letters_of(table);
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i entries = look_up(&letters, _mm256_loadu_si256((const __m256i *)(in + i)));
        if (any_invalid(entries)) return i;
        if (wide) {
            if (a) widen(entries, (int64_t *)a + i);
            if (b) widen(entries, (int64_t *)b + i);
        } else {
            if (a) _mm256_storeu_si256((__m256i *)(a + i), entries);
            if (b) _mm256_storeu_si256((__m256i *)(b + i), entries);
        }
    }
    return i;
}

AVX2 static int64_t flipped_avx2(const uint8_t *in, int64_t n, const uint8_t *table, uint8_t *out) {
    const __m256i backwards = _mm256_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                              0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    letters_t letters = letters_of(table);
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i entries = look_up(&letters, _mm256_loadu_si256((const __m256i *)(in + i)));
        if (any_invalid(entries)) return i;
        entries = _mm256_shuffle_epi8(entries, backwards);
        entries = _mm256_permute2x128_si256(entries, entries, 1);
        _mm256_storeu_si256((__m256i *)(out + n - i - 32), entries);
    }
    return i;
}

AVX2 static int64_t any_avx2(const uint8_t *in, int64_t n, const uint8_t *table, uint8_t *any) {
    letters_t letters = letters_of(table);
    __m256i all = _mm256_setzero_si256();
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)
        all = _mm256_or_si256(all, look_up(&letters, _mm256_loadu_si256((const __m256i *)(in + i))));
    *any = !_mm256_testz_si256(all, all);
    return i;
}
#endif

/* Write the entries of n bytes to one or two places, as bytes or as int64; return the place of an invalid byte, or n. */
static int64_t entries(const uint8_t *in, int64_t n, const uint8_t *table, uint8_t *a, uint8_t *b, int wide) {
    int64_t i = 0;
    while (i < n) {
        int64_t stop = n;
#ifdef EDEN_AVX2
        if (has_avx2()) {
            int64_t skip = wide ? 8 * i : i;
            i += entries_avx2(in + i, n - i, table, a ? a + skip : 0, b ? b + skip : 0, wide);
            stop = i + 32 < n ? i + 32 : n;
        }
#endif
        for (; i < stop; i++) {
            uint8_t entry = table[in[i]];
            if (entry == INVALID) return i;
            if (wide) {
                if (a) ((int64_t *)a)[i] = entry;
                if (b) ((int64_t *)b)[i] = entry;
            } else {
                if (a) a[i] = entry;
                if (b) b[i] = entry;
            }
        }
    }
    return n;
}

static void fill(uint8_t *out, int64_t first, int64_t stop, int64_t value, int wide) {
    if (!out || stop <= first) return;
    if (!wide) { memset(out + first, (int)value, (size_t)(stop - first)); return; }
    int64_t *to = (int64_t *)out;
    for (int64_t i = first; i < stop; i++) to[i] = value;
}

/* Lay windows out: entries of their bytes at `firsts`, and `pad` everywhere else in 0 ... total - 1.

   `shifted` gets the same one place to the left; a first byte that stands where a row begins is left out there.
   Returns the place of the first invalid byte among the bytes, or -1. */
int64_t eden_spread(const uint8_t *bytes, const int64_t *offsets, const int64_t *firsts, int64_t windows, int64_t total,
                    int64_t row, int64_t pad, const uint8_t *table, uint8_t *out, uint8_t *shifted, int64_t wide) {
    int64_t done = 0, done_shifted = 0, size = wide ? 8 : 1;
    for (int64_t w = 0; w < windows; w++) {
        int64_t from = offsets[w], n = offsets[w + 1] - from, first = firsts[w];
        fill(out, done, first, pad, (int)wide);
        done = first + n;
        if (shifted) {
            int64_t lost = n && first % row == 0, place = first - 1 + lost;
            fill(shifted, done_shifted, place, pad, (int)wide);
            done_shifted = place + n - lost > done_shifted ? place + n - lost : done_shifted;
            if (lost) {
                int64_t bad = entries(bytes + from, 1, table, out ? out + size * first : 0, 0, (int)wide);
                if (bad < 1) return from;
                from++; n--; first++;
            }
        }
        int64_t bad = entries(bytes + from, n, table, out ? out + size * first : 0,
                              shifted ? shifted + size * (first - 1) : 0, (int)wide);
        if (bad < n) return from + bad;
    }
    fill(out, done, total, pad, (int)wide);
    fill(shifted, done_shifted, total, pad, (int)wide);
    return -1;
}

/* Write a 1 for each of the counts at `firsts`, and 0 everywhere else. */
void eden_mark(const int64_t *firsts, const int64_t *counts, int64_t windows, int64_t total, uint8_t *out) {
    int64_t done = 0;
    for (int64_t w = 0; w < windows; w++) {
        if (!counts[w]) continue;
        memset(out + done, 0, (size_t)(firsts[w] - done));
        memset(out + firsts[w], 1, (size_t)counts[w]);
        done = firsts[w] + counts[w];
    }
    memset(out + done, 0, (size_t)(total - done));
}

/* Write weights of bytes at `firsts`, and 0 everywhere else: by letter, times those given, where there are any. */
void eden_spread_weights(const uint8_t *bytes, const int64_t *sources, const int64_t *counts, const int64_t *firsts,
                         int64_t windows, int64_t total, const float *by_letter, const float *given, float *out) {
    int64_t done = 0;
    for (int64_t w = 0; w < windows; w++) {
        int64_t from = sources[w], n = counts[w], first = firsts[w];
        if (!n) continue;
        for (int64_t i = done; i < first; i++) out[i] = 0;
        float *to = out + first;
        if (by_letter && given)
            for (int64_t i = 0; i < n; i++) to[i] = by_letter[bytes[from + i]] * given[from + i];
        else if (by_letter)
            for (int64_t i = 0; i < n; i++) to[i] = by_letter[bytes[from + i]];
        else if (given)
            memcpy(to, given + from, (size_t)n * sizeof(float));
        else
            for (int64_t i = 0; i < n; i++) to[i] = 1;
        done = first + n;
    }
    for (int64_t i = done; i < total; i++) out[i] = 0;
}

/* Copy windows, those that are marked backwards with every byte replaced by its entry. */
void eden_flip(const uint8_t *bytes, const int64_t *offsets, const uint8_t *marked, int64_t windows, const uint8_t *table,
               uint8_t *out) {
    for (int64_t w = 0; w < windows; w++) {
        const uint8_t *in = bytes + offsets[w];
        uint8_t *to = out + offsets[w];
        int64_t n = offsets[w + 1] - offsets[w], i = 0;
        if (!marked[w]) { memcpy(to, in, (size_t)n); continue; }
        while (i < n) {
            int64_t stop = n;
#ifdef EDEN_AVX2
            if (has_avx2()) {
                i += flipped_avx2(in + i, n - i, table, to);
                stop = i + 32 < n ? i + 32 : n;
            }
#endif
            for (; i < stop; i++) to[n - 1 - i] = table[in[i]];
        }
    }
}

/* Whether any byte has an entry other than 0; any byte that is no letter counts as one. */
int64_t eden_any(const uint8_t *bytes, int64_t n, const uint8_t *table) {
    int64_t i = 0;
    uint8_t any = 0;
#ifdef EDEN_AVX2
    if (has_avx2()) i = any_avx2(bytes, n, table, &any);
#endif
    for (; i < n; i++) any |= (bytes[i] & 0xc0) == 0x40 ? table[bytes[i]] : 1;
    return any != 0;
}

/* Copy stretches of one source. */
void eden_gather(const uint8_t *source, const int64_t *starts, const int64_t *counts, const int64_t *places, int64_t n,
                 uint8_t *out) {
    for (int64_t i = 0; i < n; i++) memcpy(out + places[i], source + starts[i], (size_t)counts[i]);
}

/* Copy stretches that are cut into lines without what ends these; `columns` are the bases of its line before each stretch.
   Return the number of a stretch whose line ends (LF, or CR and LF) are not where they must be, or -1. */
int64_t eden_unwrap(const uint8_t *source, const int64_t *starts, const int64_t *columns, const int64_t *line_bases,
                    const int64_t *line_ends, const int64_t *counts, const int64_t *places, int64_t n, uint8_t *out) {
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *in = source + starts[i];
        uint8_t *to = out + places[i];
        int64_t left = counts[i], room = line_bases[i] - columns[i];
        for (;;) {
            int64_t count = left < room ? left : room;
            memcpy(to, in, (size_t)count);
            to += count;
            if (!(left -= count)) break;
            in += count + line_ends[i];
            if (in[-1] != '\n' || (line_ends[i] == 2 && in[-2] != '\r')) return i;
            room = line_bases[i];
        }
        if (memchr(out + places[i], '\n', (size_t)counts[i])) return i;
    }
    return -1;
}

/* Of the bytes of stretches, keep some bits and set others. */
void eden_overlay(uint8_t *out, const int64_t *firsts, const int64_t *counts, int64_t n, int64_t keep, int64_t add) {
    for (int64_t i = 0; i < n; i++) {
        uint8_t *at = out + firsts[i];
        for (int64_t j = 0; j < counts[i]; j++) at[j] = (uint8_t)((at[j] & keep) | add);
    }
}

/* Read stretches of a file as far as they are in the system's cache, and note which are there as a whole; return 0, or the
   number of the error that ended it. */
int64_t eden_read_cached(int64_t file, const int64_t *starts, const int64_t *counts, const int64_t *places, int64_t n,
                         uint8_t *out, uint8_t *there) {
#ifdef RWF_NOWAIT
    for (int64_t i = 0; i < n; i++) {
        struct iovec piece = {out + places[i], (size_t)counts[i]};
        ssize_t got = preadv2((int)file, &piece, 1, (off_t)starts[i], RWF_NOWAIT);
        if (got < 0 && errno != EAGAIN && errno != EINTR) return errno;
        there[i] = got == (ssize_t)counts[i];
    }
    return 0;
#else
    (void)file; (void)starts; (void)counts; (void)places; (void)n; (void)out; (void)there;
    return ENOSYS;
#endif
}

/* Count up from 0 at each of the bounds, which ascend, up to total. */
void eden_count_up(const int64_t *bounds, int64_t count, int64_t total, int64_t *out) {
    for (int64_t k = 0; k < count; k++) {
        int64_t stop = k + 1 < count ? bounds[k + 1] : total;
        for (int64_t i = bounds[k]; i < stop; i++) out[i] = i - bounds[k];
    }
}

/* The sides of the network: isqrt(n - 1) + 1, and what makes a product of at least n with it. */
static void sides_of(uint64_t n, uint64_t *a, uint64_t *b) {
    uint64_t last = n ? n - 1 : 0, root = (uint64_t)sqrt((double)last);
    while (root * root > last) root--;
    while ((root + 1) * (root + 1) <= last) root++;
    *a = root + 1;
    *b = (n + root) / (root + 1);
}

static uint64_t network(uint64_t x, uint64_t a, uint64_t b, uint64_t key, uint64_t rounds, int64_t inverse) {
    uint64_t high = x / b, low = x % b;
    for (uint64_t step = 1; step <= rounds; step++) {
        uint64_t number = inverse ? rounds + 1 - step : step;
        uint64_t source = number % 2 ? low : high, size = number % 2 ? a : b;
        uint64_t hashed = source * 0x9E3779B97F4A7C15u + key + number * 0xBF58476D1CE4E5B9u;
        for (int i = 0; i < 2; i++) hashed = (hashed ^ (hashed >> 32)) * 0xD6E8FEB86659FD93u;
        hashed = ((hashed >> 32) * size) >> 32;
        if (inverse) hashed = size - hashed;
        if (number % 2) high = (high + hashed) % size; else low = (low + hashed) % size;
    }
    return high * b + low;
}

/* The keyed permutation of permutation.py, in place: each x below its n, of which there is one, or one for each. */
void eden_walk(uint64_t *xs, int64_t count, const uint64_t *ns, int64_t one_each, const uint64_t *keys, int64_t inverse) {
    uint64_t a = 1, b = 1, n = 0;
    for (int64_t k = 0; k < count; k++) {
        uint64_t here = ns[one_each ? k : 0], x = xs[k];
        if (here != n || !k) sides_of(n = here, &a, &b);
        do x = network(x, a, b, keys[k], n <= 64 ? 16 : 8, inverse); while (x >= n);
        xs[k] = x;
    }
}
