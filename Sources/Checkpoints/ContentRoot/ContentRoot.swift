package import KaratBytes
package import KaratTensors

/// One digest of all tensors of a checkpoint, the same in every format that holds them.
///
/// It covers each tensor's name, type, shape and bytes, and neither the order of tensors, nor files
/// and shards, nor compression, nor text metadata. It is the root of a tree of trees (`MerkleTree`):
///
/// - A tensor's bytes are cut into leaves of 1 MiB (1,048,576 bytes), the last one shorter. A leaf may
///   begin or end within an element or a block. The root over them is the tensor's root.
/// - The checkpoint's root is over one leaf for each tensor, sorted by the UTF-8 bytes of their names.
///   Such a leaf's content is: the length of the name (u64), the name (UTF-8), the length of the
///   type's name (u64), the type's name as safetensors and GGUF spell it (`BF16`, `F8_E4M3`, `Q4_0`;
///   ASCII), the rank (u64), the extents, outermost first (u64 each), and the tensor's root (32
///   bytes). Numbers are little-endian.
public enum ContentRoot {
  /// Bytes of a leaf of a tensor; the last may be shorter.
  package static let leafSize = 1 << 20

  /// How many leaves a tensor of so many bytes has.
  package static func leafCount(ofTensor byteCount: Int) -> Int {
    byteCount / leafSize + (byteCount % leafSize > 0 ? 1 : 0)
  }

  /// The digest of one leaf of a tensor, at most `leafSize` bytes.
  package static func leaf(_ bytes: UnsafeRawBufferPointer) -> SHA256Digest {
    MerkleTree.leaf(bytes)
  }

  /// The root of a tensor, of the digests of its leaves in order.
  package static func tensor(_ leaves: some Sequence<SHA256Digest>) -> SHA256Digest {
    var tree = MerkleTree()
    for leaf in leaves { tree.append(leaf) }
    return tree.root
  }

  /// The root of a checkpoint, of its tensors' roots in any order.
  ///
  /// - Parameter tensors: each tensor's name, type and shape, and root; no name twice.
  /// - Returns: the root.
  package static func checkpoint(
    _ tensors: some Sequence<(name: TensorName, info: TensorInfo, root: SHA256Digest)>
  ) -> SHA256Digest {
    var tree = MerkleTree()
    for tensor in tensors.sorted(by: { $0.name < $1.name }) {
      let entry = entry(tensor.name, tensor.info, tensor.root)
      tree.append(entry.withUnsafeBytes { MerkleTree.leaf($0) })
    }
    return tree.root
  }

  private static func entry(
    _ name: TensorName,
    _ info: TensorInfo,
    _ root: SHA256Digest
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ number: Int) {
      withUnsafeBytes(of: UInt64(number).littleEndian) { bytes.append(contentsOf: $0) }
    }
    for text in [name.text, info.dtype.rawValue] {
      append(text.utf8.count)
      bytes.append(contentsOf: text.utf8)
    }
    append(info.shape.rank)
    for extent in info.shape.dimensions { append(extent) }
    return bytes + root.bytes
  }
}
