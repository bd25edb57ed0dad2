import CZstd

/// Zstandard (RFC 8878): one buffer in one frame, by the system's library.
///
/// A frame that we write says how many bytes come out, refers back at most 1 MiB, and has neither a
/// dictionary nor a checksum. No other is read, but for a checksum, which must be right.
package enum Zstandard {
  /// How hard to compress.
  package enum Effort: Sendable, Hashable {
    /// Codes bytes by their frequencies, and hardly looks for repetitions: for numbers' exponents,
    /// that have no order, several times faster than levels.
    case entropy
    /// A level of the library: 1 fast, 19 thorough.
    case level(Int)
  }

  /// The logarithm of how many bytes a frame may refer back.
  package static let largestWindowLog = 20

  /// The library's version, as 10000 · major + 100 · minor + release; others may compress otherwise.
  package static var libraryVersion: Int { Int(ZSTD_versionNumber()) }

  /// Compresses into a buffer.
  ///
  /// - Parameters:
  ///   - bytes: what to compress.
  ///   - target: where the frame goes.
  ///   - effort: how hard to compress.
  /// - Returns: the bytes of the frame, or nil where it does not fit.
  package static func compress(
    _ bytes: UnsafeRawBufferPointer,
    into target: UnsafeMutableRawBufferPointer,
    _ effort: Effort
  ) -> Int? {
    compressors.withResource { compressor in
      compressor.prepare(effort)
      let size = ZSTD_compress2(
        compressor.context,
        target.baseAddress,
        target.count,
        bytes.baseAddress,
        bytes.count
      )
      return ZSTD_isError(size) == 0 ? size : nil
    }
  }

  /// Compresses an array.
  ///
  /// - Parameters:
  ///   - bytes: what to compress.
  ///   - effort: how hard to compress.
  /// - Returns: the frame.
  package static func compress(_ bytes: [UInt8], _ effort: Effort) -> [UInt8] {
    let bound = ZSTD_compressBound(bytes.count)
    return [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
      bytes.withUnsafeBytes { bytes in
        guard let size = compress(bytes, into: UnsafeMutableRawBufferPointer(buffer), effort) else {
          preconditionFailure("a frame is longer than the library's bound")
        }
        count = size
      }
    }
  }

  /// Decompresses a frame that fills `frame` and whose content fills `target`, both exactly.
  ///
  /// - Throws: `ZstandardError` where the bytes are anything else; `target` holds anything then.
  package static func decompress(
    _ frame: UnsafeRawBufferPointer,
    into target: UnsafeMutableRawBufferPointer
  ) throws(ZstandardError) {
    let header = try ZstandardFrame(frame)
    guard header.contentSize == UInt64(target.count) else {
      throw .contentSize(header.contentSize, needed: target.count)
    }
    guard header.dictionary == 0 else { throw .dictionary(header.dictionary) }
    guard header.windowSize <= 1 << largestWindowLog else { throw .window(header.windowSize) }
    let length = try checked(ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count))
    guard length == frame.count else { throw .trailing(frame.count - length) }
    let size = try decompressors.withResource { context throws(ZstandardError) in
      try checked(
        ZSTD_decompressDCtx(
          context.context,
          target.baseAddress,
          target.count,
          frame.baseAddress,
          frame.count
        )
      )
    }
    guard size == target.count else { throw .contentSize(UInt64(size), needed: target.count) }
  }

  private static func checked(_ size: Int) throws(ZstandardError) -> Int {
    guard ZSTD_isError(size) == 0 else {
      throw .corrupt(String(cString: ZSTD_getErrorName(size)))
    }
    return size
  }

  private static let compressors = ResourcePool { Compressor() }
  private static let decompressors = ResourcePool { Decompressor() }
}

/// The library's work memory for compression; about 1 MB.
private final class Compressor {
  let context: OpaquePointer

  init() {
    guard let context = ZSTD_createCCtx() else { fatalError("no memory for Zstandard") }
    self.context = context
  }

  deinit {
    ZSTD_freeCCtx(context)
  }

  func prepare(_ effort: Zstandard.Effort) {
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters)
    set(ZSTD_c_windowLog, Zstandard.largestWindowLog)
    switch effort {
    case .level(let level): set(ZSTD_c_compressionLevel, level)
    case .entropy:
      set(ZSTD_c_strategy, Int(ZSTD_fast.rawValue))
      set(ZSTD_c_hashLog, 6)
      set(ZSTD_c_minMatch, 7)
      // How many bytes the search for repetitions skips at a time.
      set(ZSTD_c_targetLength, 4096)
      set(Self.literalCompression, 1)
    }
  }

  // `ZSTD_c_literalCompressionMode`, where 1 codes literals even if matching is this fast. The
  // library names it only for static linking; one that has no such parameter codes less densely.
  private static let literalCompression = ZSTD_c_experimentalParam5

  private func set(_ parameter: ZSTD_cParameter, _ value: Int) {
    ZSTD_CCtx_setParameter(context, parameter, Int32(clamping: value))
  }
}

/// The library's work memory for decompression; about 100 KB.
private final class Decompressor {
  let context: OpaquePointer

  init() {
    guard let context = ZSTD_createDCtx() else { fatalError("no memory for Zstandard") }
    self.context = context
  }

  deinit {
    ZSTD_freeDCtx(context)
  }
}
