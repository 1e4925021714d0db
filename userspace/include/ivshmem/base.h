/* SPDX-License-Identifier: MIT */
/*
 * What the other headers declare with.
 */
#ifndef IVSHMEM_BASE_H
#define IVSHMEM_BASE_H

#ifdef __cplusplus
#define IVSHMEM_BEGIN_EXTERN_C	extern "C" {
#define IVSHMEM_END_EXTERN_C	}
#else
#define IVSHMEM_BEGIN_EXTERN_C
#define IVSHMEM_END_EXTERN_C
#endif

/*
 * The calls are C's, and can be seen from outside the library, also where all else is
 * built with -fvisibility=hidden.
 */
#if defined(__GNUC__) && defined(__ELF__)
#define IVSHMEM_BEGIN_DECLS	IVSHMEM_BEGIN_EXTERN_C _Pragma("GCC visibility push(default)")
#define IVSHMEM_END_DECLS	_Pragma("GCC visibility pop") IVSHMEM_END_EXTERN_C
#else
#define IVSHMEM_BEGIN_DECLS	IVSHMEM_BEGIN_EXTERN_C
#define IVSHMEM_END_DECLS	IVSHMEM_END_EXTERN_C
#endif

/* Of calls whose result says whether there is anything to use. */
#ifdef __GNUC__
#define IVSHMEM_MUST_CHECK	__attribute__((warn_unused_result))
#else
#define IVSHMEM_MUST_CHECK
#endif

#endif /* IVSHMEM_BASE_H */
