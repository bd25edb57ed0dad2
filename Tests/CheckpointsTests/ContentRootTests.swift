import KaratBytes
import KaratCheckpoints
import KaratTensors
import Synchronization
import Testing

@Suite struct MerkleTreeTests {
  /// The leaves and roots that implementations of Certificate Transparency test with.
  @Test func rootsAreThoseOfCertificateTransparency() {
    let leaves: [[UInt8]] = [
      [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], Array(0x40...0x43), Array(0x50...0x57),
      Array(0x60...0x6f),
    ]
    let roots = [
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    var tree = MerkleTree()
    #expect(tree.root.description == roots[0])
    for (leaf, root) in zip(leaves, roots.dropFirst()) {
      tree.append(leaf.withUnsafeBytes { MerkleTree.leaf($0) })
      #expect(tree.root.description == root)
    }
    #expect(tree.leafCount == 8)
  }
}

@Suite struct ContentRootTests {
  /// Expected: Tests/Reference/content_root.py, which shares no code with ours.
  @Test func rootsAreThoseOfTheReference() throws {
    #expect(
      try ContentRoot.of(SafetensorsReader(fixture("alice/model.safetensors")), threads: 2)
        .description == "092f67e6df354c097c325c1ff4c5f856b8899843f0853b37020d7c786318ce31"
    )
    #expect(
      try ContentRoot.of(SafetensorsReader(fixture("arithmetic/casts.safetensors")), threads: 2)
        .description == "b28627bc014efa3e77f6f6c35b53cb5782d15ece94a46c8eaeb072a01ab984ed"
    )
    #expect(
      try ContentRoot.of(Checkpoint.open(path: fixture("deepseek-v3-fp8-tiny")), threads: 2)
        .description == "7168f0354c5303527c42d129b44591bf2efc0883722d70942e4836ef2c1d8769"
    )
  }

  @Test func formatsOfTheSameTensorsHaveTheSameRoot() throws {
    let gguf = try GGUFModelSource(GGUFReader(fixture("checkpoints/llama.gguf")))
    let file = try SafetensorsReader(fixture("checkpoints/llama-as-hugging-face.safetensors"))
    #expect(try ContentRoot.of(gguf, threads: 2) == ContentRoot.of(file, threads: 2))
  }

  @Test func theRootIsThatOfTheDefinitionForAnyBlockAndNumberOfThreads() throws {
    // Lengths around leaves of 1 MiB, which cut blocks of 3, 18 and 210 bytes.
    let infos: [TensorName: TensorInfo] = [
      "empty": TensorInfo(.f32, [0, 4]), "scalar": TensorInfo(.bf16, []),
      "leaf": TensorInfo(.u8, [1 << 20]), "leaf and a byte": TensorInfo(.u8, [1 << 20 + 1]),
      "four leaves": TensorInfo(.f32, [1 << 20]), "six leaves": TensorInfo(.i16, [3, 1 << 20]),
      "six bits": TensorInfo(.f6E2M3, [1_600_000, 4]),
      "blocks": TensorInfo(.q4_0, [300_000, 32]), "K blocks": TensorInfo(.q6K, [21_000, 256]),
    ]
    let expected = try definition(NumberedSource(infos))
    for threads in [1, 2, 5] {
      let source = NumberedSource(infos)
      #expect(try ContentRoot.of(source, threads: threads).bytes == expected)
      #expect(source.largestPull.withLock { $0 } <= 1 << 20 + 2 * 210)
      let whole = NumberedSource(infos, isDivisible: false)
      #expect(try ContentRoot.of(whole, threads: threads).bytes == expected)
      #expect(whole.pulls.withLock { $0 } <= infos.count)
    }
  }

  @Test func orderAndMetadataDoNotCount() throws {
    let infos: [TensorName: TensorInfo] = [
      "b": TensorInfo(.f32, [3]), "a": TensorInfo(.u8, [5]), "a.b": TensorInfo(.i64, [2, 2]),
    ]
    let roots = [["a", "a.b", "b"], ["b", "a.b", "a"]].flatMap { names in
      [[:], ["format": "pt"]].map { metadata in
        NumberedSource(infos, names.map { TensorName($0) }, metadata: metadata)
      }
    }
    #expect(try Set(roots.map { try ContentRoot.of($0, threads: 2) }).count == 1)
  }

  @Test func nameTypeShapeAndBytesCount() throws {
    func root(
      _ name: TensorName = "weight",
      _ dtype: DType = .f16,
      _ shape: Shape = [2, 3],
      bytes: [UInt8] = Array(0..<12)
    ) throws -> SHA256Digest {
      let source = MemorySource([name: Tensor(dtype, shape) { $0.copyBytes(from: bytes) }])
      return try ContentRoot.of(source, threads: 1)
    }
    var flipped = [UInt8](0..<12)
    flipped[11] ^= 0x80
    let roots = try [
      root(), root("weights"), root("weigh"), root("weight", .bf16), root("weight", .f16, [3, 2]),
      root("weight", .f16, [6]), root("weight", .f16, [1, 2, 3]), root(bytes: flipped),
      // Equal as strings, and not the same name.
      root("caf\u{e9}"), root("cafe\u{301}"), ContentRoot.of(MemorySource([:]), threads: 1),
    ]
    #expect(Set(roots).count == roots.count)
    #expect(try root() == root())
  }

  @Test func theFirstTensorThatCannotBeReadIsNamed() {
    let infos: [TensorName: TensorInfo] = [
      "a": TensorInfo(.u8, [9 << 20]), "b": TensorInfo(.u8, [9 << 20]), "c": TensorInfo(.u8, [1]),
    ]
    let source = NumberedSource(infos, ["a", "b", "c"], failing: ["b", "c"])
    for threads in [1, 2, 5] {
      #expect(throws: CheckpointError.missing("b", in: "a test")) {
        try ContentRoot.of(source, threads: threads)
      }
    }
  }

  @Test func progressReachesTheTotal() throws {
    let steps = Mutex<[Int]>([])
    let source = NumberedSource([
      "a": TensorInfo(.u8, [300 << 20 / 256]), "b": TensorInfo(.u8, [7]),
    ])
    let total = source.manifest.totalBytes
    let progress = ProgressReporter { step in
      #expect(step.total == total && step.unit == "bytes")
      steps.withLock { $0.append(step.done) }
    }
    _ = try ContentRoot.of(source, threads: 2, progress: progress)
    let found = steps.withLock { $0 }
    #expect(found == found.sorted() && found.last == total)
  }
}

/// Tensors whose bytes are functions of their place; counts what is pulled at a time.
private final class NumberedSource: TensorSource {
  let manifest: Manifest
  let failing: Set<TensorName>
  let isDivisible: Bool
  let largestPull = Mutex(0)
  let pulls = Mutex(0)

  init(
    _ infos: [TensorName: TensorInfo],
    _ names: [TensorName]? = nil,
    metadata: [String: String] = [:],
    failing: Set<TensorName> = [],
    isDivisible: Bool = true
  ) {
    self.isDivisible = isDivisible
    var manifest = Manifest(metadata: metadata)
    for name in names ?? Array(infos.keys) {
      if let info = infos[name] { manifest.set(name, info) }
    }
    self.manifest = manifest
    self.failing = failing
  }

  func isDivisible(_ name: TensorName) -> Bool { isDivisible }

  func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name] else { throw .missing(name, in: "a test") }
    return try elements(0..<info.shape.elementCount, of: name).reshaped(to: info.shape)
  }

  func elements(_ range: Range<Int>, of name: TensorName) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name], !failing.contains(name) else {
      throw .missing(name, in: "a test")
    }
    let start = info.byteOffset(ofElement: range.lowerBound)
    let salt = name.text.utf8.count
    let tensor = Tensor(info.dtype, [range.count]) { bytes in
      for index in bytes.indices {
        bytes[index] = UInt8(truncatingIfNeeded: ((start + index) &* 0x9e37_79b1) >> 13 + salt)
      }
    }
    largestPull.withLock { $0 = max($0, tensor.byteCount) }
    pulls.withLock { $0 += 1 }
    return tensor
  }
}

/// The root as its documentation defines it, on whole tensors and by recursion.
private func definition(_ source: some TensorSource) throws -> [UInt8] {
  func digest(_ bytes: [UInt8]) -> [UInt8] {
    var accumulator = SHA256Digest.Accumulator()
    bytes.withUnsafeBytes { accumulator.append($0) }
    return accumulator.digest.bytes
  }
  func root(_ leaves: ArraySlice<[UInt8]>) -> [UInt8] {
    guard leaves.count > 1 else { return leaves.first ?? digest([]) }
    var left = 1
    while 2 * left < leaves.count { left *= 2 }
    return digest([1] + root(leaves.prefix(left)) + root(leaves.dropFirst(left)))
  }
  func number(_ value: Int) -> [UInt8] { (0..<8).map { UInt8(value >> (8 * $0) & 0xff) } }
  let entries = try source.manifest.names.sorted().map { name in
    let tensor = try source.tensor(name)
    let bytes = tensor.withBytes { Array($0) }
    let leaves = stride(from: 0, to: bytes.count, by: 1_048_576).map { start in
      digest([0] + bytes[start..<min(start + 1_048_576, bytes.count)])
    }
    let texts = [name.text, tensor.dtype.rawValue].flatMap { number($0.utf8.count) + $0.utf8 }
    let extents = tensor.shape.dimensions.flatMap(number)
    return digest([0] + texts + number(tensor.shape.rank) + extents + root(leaves[...]))
  }
  return root(entries[...])
}
