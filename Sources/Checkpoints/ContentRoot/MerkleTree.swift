package import KaratBytes

/// The root of a Merkle tree over leaves that come one after the other, as RFC 6962 defines it.
///
/// A leaf is SHA-256 of 0x00 and its content; a node is SHA-256 of 0x01 and its two children. A tree
/// of n > 1 leaves has at its left the greatest power of two below n. No leaves: SHA-256 of nothing.
/// It keeps one digest for each bit of the number of leaves.
package struct MerkleTree: Sendable {
  /// How many leaves there are so far.
  package private(set) var leafCount = 0

  /// Roots of full subtrees, one for each bit set in `leafCount`, the largest first.
  private var subtrees: [SHA256Digest] = []

  /// Makes a tree without leaves.
  package init() {}

  /// Appends a leaf by its digest.
  package mutating func append(_ leaf: SHA256Digest) {
    var node = leaf
    for _ in 0..<leafCount.trailingOnes {
      node = Self.node(subtrees.removeLast(), node)
    }
    subtrees.append(node)
    leafCount += 1
  }

  /// The root of the leaves so far.
  package var root: SHA256Digest {
    guard var node = subtrees.last else { return SHA256Digest.Accumulator().digest }
    for left in subtrees.dropLast().reversed() { node = Self.node(left, node) }
    return node
  }

  /// The digest of a leaf.
  package static func leaf(_ content: UnsafeRawBufferPointer) -> SHA256Digest {
    digest(0) { $0.append(content) }
  }

  private static func node(_ left: SHA256Digest, _ right: SHA256Digest) -> SHA256Digest {
    digest(1) { accumulator in
      left.bytes.withUnsafeBytes { accumulator.append($0) }
      right.bytes.withUnsafeBytes { accumulator.append($0) }
    }
  }

  private static func digest(
    _ prefix: UInt8,
    _ append: (inout SHA256Digest.Accumulator) -> Void
  ) -> SHA256Digest {
    var accumulator = SHA256Digest.Accumulator()
    withUnsafeBytes(of: prefix) { accumulator.append($0) }
    append(&accumulator)
    return accumulator.digest
  }
}

extension Int {
  fileprivate var trailingOnes: Int { (~self).trailingZeroBitCount }
}
