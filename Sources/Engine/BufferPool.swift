/// Memory for the values of a run, reused between nodes and between runs.
final class BufferPool {
  private let limit: Int?
  private var free: [Int: [UnsafeMutableRawPointer]] = [:]
  private var freeBytes = 0
  /// How many bytes values take, and how many of buffers wait to be used again.
  private(set) var bytesInUse = 0
  var byteCount: Int { bytesInUse + freeBytes }

  /// - Parameter limit: the bytes beyond which buffers are given back to the system rather than kept,
  ///   or nil to keep all.
  init(limit: Int? = nil) {
    self.limit = limit
  }

  /// A buffer of at least so many bytes, with unspecified content, aligned to 64 bytes.
  func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let size = Self.size(byteCount)
    bytesInUse += size
    if let buffer = free[size]?.popLast() {
      freeBytes -= size
      return buffer
    }
    if let limit, bytesInUse + freeBytes > limit { trim() }
    return .allocate(byteCount: size, alignment: 64)
  }

  /// Gives a buffer back.
  func give(_ buffer: UnsafeMutableRawPointer, _ byteCount: Int) {
    let size = Self.size(byteCount)
    bytesInUse -= size
    if let limit, bytesInUse + freeBytes + size > limit {
      buffer.deallocate()
      return
    }
    freeBytes += size
    free[size, default: []].append(buffer)
  }

  /// Gives the buffers that nothing uses back to the system.
  func trim() {
    for buffer in free.values.joined() { buffer.deallocate() }
    free = [:]
    freeBytes = 0
  }

  deinit { trim() }

  // Whole pages: values of nearly the same size share buffers.
  private static func size(_ byteCount: Int) -> Int { (max(byteCount, 1) + 4095) & ~4095 }
}
