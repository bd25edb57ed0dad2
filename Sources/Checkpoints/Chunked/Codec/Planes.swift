import CKernels

/// The planes of a filter: how many bytes an element has, and how many planes come of it.
struct Planes {
  /// Bytes of an element; 1 stands for pairs of half bytes.
  let width: Int
  /// How many planes there are.
  let count: Int
  /// Whether elements are rotated left by one bit before.
  let isRotated: Bool

  /// The planes of a filter, or nil where it makes none.
  init?(_ filter: ChunkEncoding.Filter) {
    switch filter {
    case .none: return nil
    case .bytes2, .float2: width = 2
    case .bytes4, .float4: width = 4
    case .bytes8, .float8: width = 8
    case .halves, .float1: width = 1
    }
    count = max(width, 2)
    isRotated = [.float1, .float2, .float4, .float8].contains(filter)
  }

  /// The bytes of one plane of a chunk, or nil where the chunk does not fill all planes evenly.
  func size(ofChunk byteCount: Int) -> Int? {
    byteCount.isMultiple(of: count) ? byteCount / count : nil
  }

  /// Cuts elements into planes that lie one behind the other; both are equally long.
  func split(_ elements: UnsafeRawBufferPointer, into planes: UnsafeMutableRawBufferPointer) {
    guard let source = elements.baseAddress, let target = planes.baseAddress else { return }
    karat_active().pointee.split_planes(
      source,
      elements.count / width,
      width,
      isRotated,
      target.assumingMemoryBound(to: UInt8.self)
    )
  }

  /// Puts elements together from their planes, each `size(ofChunk:)` bytes long.
  func merge(_ planes: [UnsafePointer<UInt8>], into elements: UnsafeMutableRawBufferPointer) {
    guard let target = elements.baseAddress else { return }
    karat_active().pointee.merge_planes(planes, elements.count / width, width, isRotated, target)
  }
}

/// Adds a chunk to another modulo 2, in place: what makes a difference, and what undoes it.
///
/// - Precondition: both are equally long.
package func exclusiveOr(
  _ bytes: UnsafeMutableRawBufferPointer,
  with base: UnsafeRawBufferPointer
) {
  precondition(bytes.count == base.count)
  guard let target = bytes.baseAddress, let source = base.baseAddress else { return }
  karat_active().pointee.exclusive_or(target, source, bytes.count, target)
}
