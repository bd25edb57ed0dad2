import KaratBytes

extension CrashWorkload {
  /// All writers of this package, on file systems of all abilities.
  package static let all: [CrashWorkload] = files + resumableFiles + folders + checkpoints

  /// Sizes around the borders of sectors and pages.
  static let sizes = [0, 1, 511, 512, 513, 4095, 4096, 4097, 8193, 12_288, 20_000, 30_001]

  /// What a file system may lack, from nothing to all.
  static let lacks: [Set<Ability>] = [
    [], [.exclusiveRename], [.exclusiveRename, .links], [.locks], Set(Ability.allCases),
  ]

  /// Bytes that depend on the seed alone, none of them zero.
  static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var numbers = Numbers(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: numbers.next() % 255) + 1 }
  }

  /// What must stay as it is: files that others made, under names like ours.
  static func putBystanders(_ fileSystem: SimulatedFileSystem, beside target: String) {
    let (folder, name) = (target + "/..", String(target.split(separator: "/").last ?? ""))
    let place = folder.split(separator: "/").dropLast(2).joined(separator: "/")
    for (index, other) in [
      "\(name).x", ".\(name).partial", ".\(name).resumable", ".\(name)x.0.old",
    ]
    .enumerated() {
      fileSystem.put([1, 2, UInt8(index)], at: place + "/" + other)
    }
  }

  /// Single files, new and replaced.
  package static let files: [CrashWorkload] =
    lacks.flatMap { lacks in
      sizes.flatMap { size in
        [nil, 700].map { file(size, replacing: $0, lacking: lacks) }
      }
    } + [
      file((1 << 20) + 4097, replacing: nil, lacking: []),
      file(3000, replacing: 3000, lacking: [], secondTry: true),
      file(3000, replacing: nil, lacking: [], secondTry: true),
    ]

  private static func file(
    _ size: Int,
    replacing oldSize: Int?,
    lacking lacks: Set<Ability>,
    secondTry: Bool = false
  ) -> CrashWorkload {
    let target = size % 2 == 0 ? "work/out" : "/out"
    let words = oldSize.map { "replacing \($0)" } ?? "new"
    let new = bytes(size, seed: 2)
    return CrashWorkload(
      "file of \(size) bytes, \(words), without \(lacks), second try: \(secondTry)",
      target: target
    ) { fileSystem in
      fileSystem.lacks = lacks
      putBystanders(fileSystem, beside: target)
      if let oldSize { fileSystem.put(bytes(oldSize, seed: 1), at: target) }
    } run: { fileSystem in
      if secondTry { try? writeFile(target, new, replacing: oldSize != nil, on: fileSystem) }
      try writeFile(target, new, replacing: oldSize != nil, isWhole: true, on: fileSystem)
    }
  }

  /// Writes in pieces of some 1500 bytes, and gives up before the last unless it is to be whole.
  private static func writeFile(
    _ target: String,
    _ new: [UInt8],
    replacing: Bool,
    isWhole: Bool = false,
    on fileSystem: SimulatedFileSystem
  ) throws {
    var file = try AtomicFile(
      target,
      replacing: replacing,
      expecting: new.count,
      bufferSize: 0,
      on: fileSystem
    )
    let step = max(new.count / 16, 1500)
    for start in stride(from: 0, to: new.count, by: step) {
      guard isWhole || start + step < new.count else { return }
      try file.write(Array(new[start..<min(start + step, new.count)]))
    }
    try file.commit()
  }

  /// Files that are continued, with pieces that are flushed one by one.
  package static let resumableFiles: [CrashWorkload] = lacks.flatMap { lacks in
    [nil, 700].flatMap { oldSize in
      [false, true].map { resumableFile(replacing: oldSize, continued: $0, lacking: lacks) }
    }
  }

  /// Four pieces of 1000 bytes, each flushed; a run goes on behind the last whole piece that is as
  /// it should be.
  private static func resumableFile(
    replacing oldSize: Int?,
    continued: Bool,
    lacking lacks: Set<Ability>
  ) -> CrashWorkload {
    let target = "work/out"
    let pieces = (0..<4).map { bytes(1000, seed: 10 + $0) }
    let words = oldSize.map { "replacing \($0)" } ?? "new"
    return CrashWorkload(
      "resumable file, \(words), without \(lacks), continued: \(continued)",
      target: target,
      isResumable: true
    ) { fileSystem in
      fileSystem.lacks = lacks
      putBystanders(fileSystem, beside: target)
      if let oldSize { fileSystem.put(bytes(oldSize, seed: 1), at: target) }
      if continued {
        fileSystem.put(
          pieces[0] + pieces[1] + pieces[2].dropLast(100),
          at: "work/.out.resumable.partial"
        )
      }
    } run: { fileSystem in
      let output = try ResumableFile(target, replacing: oldSize != nil, on: fileSystem)
      let there = try output.file.byteCount()
      var done = 0
      for piece in pieces where done * 1000 + 1000 <= there {
        var found = [UInt8](repeating: 0, count: 1000)
        try found.withUnsafeMutableBytes { try output.file.read(into: $0, at: done * 1000) }
        guard found == piece else { break }
        done += 1
      }
      try output.file.truncate(to: done * 1000)
      for (index, piece) in pieces.enumerated().dropFirst(done) {
        try piece.withUnsafeBytes { try output.file.write($0, at: index * 1000) }
        try output.file.flush()
      }
      try output.commit()
    }
  }
}
