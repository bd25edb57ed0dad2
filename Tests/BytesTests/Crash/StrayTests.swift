import Foundation
import KaratBytes
import KaratTestSupport
import Synchronization
import Testing

private func names(in folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

private func put(_ bytes: [UInt8], at path: String) throws {
  try FileManager.default.createDirectory(
    atPath: path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 },
    withIntermediateDirectories: true
  )
  try Data(bytes).write(to: URL(filePath: path))
}

/// What dead writers leave, on the file system of the machine.
@Suite struct StrayTests {
  @Test func theNextWriterRemovesWhatDeadOnesLeft() throws {
    try inTemporaryFolder { (folder) throws in
      // A dead writer's file has a name of ours, and a lock that is free.
      for stray in [
        ".out.0123456789abc.partial", ".out.zzzzzzzzzzzzz.partial/deep/file",
        ".out.resumable.partial",
      ] {
        try put([1], at: "\(folder)/\(stray)")
      }
      let others = [
        ".out.0123456789ABC.partial", ".out.0123456789ab.partial", ".out.0123456789abc.partial.x",
        ".out.partial", ".out.x.0123456789abc.partial", ".ou.0123456789abc.partial", "out.x",
      ]
      for other in others { try put([1], at: "\(folder)/\(other)") }
      // A link is not followed, and not ours.
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/.out.aaaaaaaaaaaaa.partial",
        withDestinationPath: "out.x"
      )
      _ = try AtomicFile("\(folder)/out")
      #expect(try names(in: folder) == (others + [".out.aaaaaaaaaaaaa.partial"]).sorted())
    }
  }

  @Test func aRunThatIsRefusedClearsAsWell() throws {
    try inTemporaryFolder { (folder) throws in
      try put([1], at: "\(folder)/out")
      try put([1], at: "\(folder)/.out.0123456789abc.partial")
      #expect(throws: FileError.self) { _ = try AtomicFile("\(folder)/out") }
      #expect(try names(in: folder) == ["out"])
    }
  }

  @Test func livingWritersKeepTheirFiles() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/out"
      var first = try AtomicFile(path, replacing: true)
      try first.write([1])
      let resumable = try ResumableFile(path, replacing: true)
      var second = try AtomicFile(path, replacing: true)
      try second.write([2])
      #expect(try names(in: folder).count == 3)
      try second.commit()
      #expect(try ReadableFile.contents(of: path) == [2])
      try resumable.commit()
      #expect(try ReadableFile.contents(of: path) == [])
      try first.commit()
      #expect(try ReadableFile.contents(of: path) == [1])
      #expect(try names(in: folder) == ["out"])

      let model = try AtomicFolder("\(folder)/model")
      let other = try AtomicFolder("\(folder)/model")
      #expect(try names(in: folder).count == 3)
      try model.commit()
      do throws(FileError) {
        try other.commit()
        Issue.record("it replaced what came in the meantime")
      } catch {
        #expect(error.kind == .exists)
      }
      #expect(try names(in: folder) == ["model", "out"])
    }
  }

  @Test func whatComesBeforeTheCommitIsReplacedOnlyWhereItIsOurs() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/model"
      try put([1], at: "\(path)/marker")
      let first = try AtomicFolder(path, replacingFolderWith: "marker")
      let second = try AtomicFolder(path, replacingFolderWith: "marker")
      let third = try AtomicFolder(path, replacingFolderWith: "marker")
      try FileManager.default.moveItem(atPath: path, toPath: "\(folder)/moved")
      try first.commit()
      #expect(try names(in: path) == [])
      do throws(FileError) {
        try second.commit()
        Issue.record("it replaced a folder without the marker")
      } catch {
        #expect(error.kind == .exists)
      }
      try put([2], at: "\(path)/marker")
      try third.commit()
      #expect(try names(in: path) == [])
      #expect(try names(in: folder) == ["model", "moved"])
    }
  }

  @Test func longNamesThatBeginAlikeAreToldApart() throws {
    try inTemporaryFolder { (folder) throws in
      let long = String(repeating: "n", count: 250)
      let first = try AtomicFile("\(folder)/\(long)1")
      let hidden = try names(in: folder)[0]
      try first.commit()
      // What the first would have left, were it dead.
      try put([1], at: "\(folder)/\(hidden)")
      _ = try AtomicFile("\(folder)/\(long)2")
      #expect(try names(in: folder).contains(hidden))
      _ = try AtomicFile("\(folder)/\(long)1", replacing: true)
      #expect(try !names(in: folder).contains(hidden))
    }
  }

  /// Where the file system can exchange folders, there is one at any time.
  @Test func aFolderIsReplacedInOneStep() throws {
    try inTemporaryFolder { (folder) throws in
      for name in ["a", "b"] { try put([0], at: "\(folder)/\(name)/x") }
      let canExchange =
        (try? RealFileSystem.real.rename("\(folder)/a", to: "\(folder)/b", .exchanging)) != nil
      let path = "\(folder)/model"
      try put([0], at: "\(path)/marker")
      let isDone = Mutex(false)
      let misses = Mutex(0)
      let looker = Thread {
        while !isDone.withLock({ $0 }) {
          if !FileStatus.isThere(path) { misses.withLock { $0 += 1 } }
        }
      }
      looker.start()
      for round in 1...100 {
        let output = try AtomicFolder(path, replacingFolderWith: "marker")
        var file = try output.file("marker")
        try file.write([UInt8(round)])
        try file.commit()
        try output.commit()
      }
      isDone.withLock { $0 = true }
      while !looker.isFinished { usleep(1000) }
      if canExchange { #expect(misses.withLock { $0 } == 0) }
      #expect(try ReadableFile.contents(of: "\(path)/marker") == [100])
      #expect(try names(in: folder) == ["a", "b", "model"])
    }
  }

  @Test func aDiskThatIsTooSmallIsRefusedAtOnce() throws {
    try inTemporaryFolder { (folder) throws in
      let expected =
        #/out: it takes 4611686018427387904 bytes, and the disk has \d+ left\. Free some space, or write to another disk\./#
      for start in [
        { _ = try AtomicFile("\(folder)/out", expecting: 1 << 62) },
        { _ = try AtomicFolder("\(folder)/out", expecting: 1 << 62) },
      ] as [() throws -> Void] {
        #expect(message(in: folder, start)?.wholeMatch(of: expected) != nil)
        #expect(try names(in: folder) == [])
      }
    }
  }

  @Test func filesOfAHiddenFolderAreNamedAsTheyWillBe() throws {
    try inTemporaryFolder { (folder) throws in
      let output = try AtomicFolder("\(folder)/model")
      _ = try output.file("a").commit()
      #expect(
        message(in: folder) { _ = try output.file("a") }
          == "model/a: it cannot be created: file exists (17). Choose another name, or say that it is"
          + " to be replaced."
      )
      #expect(
        message(in: folder) {
          try output.reading { path throws(FileError) in _ = try ReadableFile(path + "/b") }
        } == "model/b: it cannot be opened: no such file or directory (2). Check the path."
      )
    }
  }
}

@Suite struct ResumableFileTests {
  private func append(_ bytes: [UInt8], to file: WritableFile) throws {
    let end = try file.byteCount()
    try bytes.withUnsafeBytes { try file.write($0, at: end) }
  }

  @Test func theNextRunGoesOn() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/out"
      do {
        let output = try ResumableFile(path)
        try append([1, 2, 3], to: output.file)
        #expect(try names(in: folder) == [".out.resumable.partial"])
        #expect(
          message(in: folder) { _ = try ResumableFile(path) }
            == "out: another run is writing it. Wait until that is done, or choose another name."
        )
      }
      let output = try ResumableFile(path)
      #expect(try output.file.byteCount() == 3)
      try output.file.truncate(to: 2)
      try append([4], to: output.file)
      var found = [UInt8](repeating: 0, count: 3)
      try found.withUnsafeMutableBytes { try output.file.read(into: $0, at: 0) }
      #expect(found == [1, 2, 4])
      try output.commit()
      #expect(try names(in: folder) == ["out"])
      #expect(try ReadableFile.contents(of: path) == [1, 2, 4])
      #expect(throws: FileError.self) { _ = try ResumableFile(path) }

      let again = try ResumableFile(path, replacing: true)
      #expect(try again.file.byteCount() == 0)
      again.discard()
      #expect(try names(in: folder) == ["out"])
      #expect(try ReadableFile.contents(of: path) == [1, 2, 4])
    }
  }

  @Test func followsNoLink() throws {
    try inTemporaryFolder { (folder) throws in
      try put([1], at: "\(folder)/precious")
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/.out.resumable.partial",
        withDestinationPath: "precious"
      )
      #expect(throws: FileError.self) { _ = try ResumableFile("\(folder)/out") }
      #expect(try ReadableFile.contents(of: "\(folder)/precious") == [1])
    }
  }

  @Test func filesAreUpdatedInPlace() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/file"
      try put([1, 2, 3], at: path)
      let file = try RealFileSystem.real.openForUpdate(path)
      #expect(try file.tryLock())
      #expect(try !RealFileSystem.real.openForUpdate(path).tryLock())
      try [UInt8](9...10).withUnsafeBytes { try file.write($0, at: 5) }
      try file.flush()
      try file.close()
      #expect(try ReadableFile.contents(of: path) == [1, 2, 3, 0, 0, 9, 10])
      #expect(try RealFileSystem.real.openForUpdate(path).tryLock())
      #expect(throws: FileError.self) { try file.truncate(to: 0) }
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      #expect(
        message(in: folder) { _ = try RealFileSystem.real.openForUpdate("\(folder)/pipe") }
          == "pipe: this is a pipe, a device or a socket; a regular file was needed."
      )
    }
  }
}
