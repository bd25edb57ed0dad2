import Foundation
import KaratBytes
import Testing

/// Runs a test in a folder of its own, and removes it.
private func inTemporaryFolder(_ body: (String) throws -> Void) throws {
  let folder = FileManager.default.temporaryDirectory.appending(path: "karat-\(UUID())").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try body(folder)
}

private func names(in folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

private func contents(_ path: String) throws -> [UInt8] {
  try ReadableFile.contents(of: path)
}

// What cannot be copied cannot be captured by the macros' closures, so its errors are caught here.
private func commitRefusal(_ file: consuming AtomicFile) -> String? {
  do throws(FileError) {
    try file.commit()
    return nil
  } catch {
    return "\(error)"
  }
}

@Suite struct AtomicFileTests {
  @Test func appearsWholeOnCommit() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/out"
      var file = try AtomicFile(path)
      let large = [UInt8](repeating: 7, count: 3 << 20)
      try file.write([1, 2])
      try file.write(large)
      try file.write([3])
      #expect(file.byteCount == large.count + 3)
      let hidden = try names(in: folder)
      #expect(hidden.count == 1)
      #expect(hidden[0].hasPrefix(".out.") && hidden[0].hasSuffix(".partial"))
      try file.commit()
      #expect(try names(in: folder) == ["out"])
      #expect(try contents(path) == [1, 2] + large + [3])
    }
  }

  @Test func vanishesWhenDropped() throws {
    try inTemporaryFolder { (folder) throws in
      do {
        var file = try AtomicFile("\(folder)/out")
        try file.write([1, 2])
      }
      #expect(try names(in: folder) == [])
    }
  }

  @Test func keepsWhatIsThere() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/out"
      let first = try AtomicFile(path)
      // The target comes to exist between the start and the commit.
      var second = try AtomicFile(path)
      try second.write([2])
      try second.commit()
      #expect(
        commitRefusal(first)
          == "\(path): it exists already. Choose another name, or say that it is to be replaced."
      )
      #expect(throws: FileError.self) { _ = try AtomicFile(path) }
      #expect(try contents(path) == [2])
      #expect(try names(in: folder) == ["out"])

      var third = try AtomicFile(path, replacing: true)
      try third.write([3])
      #expect(try contents(path) == [2])
      try third.commit()
      #expect(try contents(path) == [3])
      #expect(try names(in: folder) == ["out"])
    }
  }

  @Test func replacesNoFolderAndNoDevice() throws {
    try inTemporaryFolder { (folder) throws in
      for path in [folder, "/dev/null"] {
        #expect {
          _ = try AtomicFile(path, replacing: true)
        } throws: {
          "\($0)" == "\(path): this is a folder, a pipe or a device; only a file can be replaced by"
            + " a file."
        }
      }
      // A link that leads nowhere is something too.
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/link",
        withDestinationPath: "nowhere"
      )
      #expect(throws: FileError.self) { _ = try AtomicFile("\(folder)/link") }
    }
  }

  @Test func saysWhichFolderIsMissing() throws {
    #expect {
      _ = try AtomicFile("/nowhere/at/all/out")
    } throws: {
      "\($0)"
        == "/nowhere/at/all/out: it cannot be created: no such file or directory (2). Check the path."
    }
  }

  @Test func takesLongNames() throws {
    try inTemporaryFolder { (folder) throws in
      for name in [String(repeating: "n", count: 255), String(repeating: "é", count: 120)] {
        let file = try AtomicFile("\(folder)/\(name)")
        try file.commit()
      }
      #expect(try names(in: folder).count == 2)
    }
  }
}

@Suite struct AtomicFolderTests {
  @Test func appearsWholeOnCommit() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/model"
      let output = try AtomicFolder(path + "/")
      var file = try output.file("config.json")
      try file.write([0x7b, 0x7d])
      try file.commit()
      try output.copy("\(output.path)/config.json", as: "copy.json")
      #expect(try names(in: folder).count == 1)
      #expect(!FileManager.default.fileExists(atPath: path))
      try output.commit()
      #expect(try names(in: folder) == ["model"])
      #expect(try names(in: path) == ["config.json", "copy.json"])
      #expect(try contents("\(path)/copy.json") == [0x7b, 0x7d])
    }
  }

  @Test func vanishesWhenDropped() throws {
    try inTemporaryFolder { (folder) throws in
      do {
        let output = try AtomicFolder("\(folder)/model")
        try FileManager.default.createDirectory(
          atPath: "\(output.path)/deep/deeper",
          withIntermediateDirectories: true
        )
        let file = try output.file("a")
        try file.commit()
        // A link is removed, and what it leads to stays.
        try Data([1]).write(to: URL(filePath: "\(folder)/kept"))
        try FileManager.default.createSymbolicLink(
          atPath: "\(output.path)/link",
          withDestinationPath: folder
        )
      }
      #expect(try names(in: folder) == ["kept"])
    }
  }

  @Test func replacesOnlyWhatWeWrote() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/model"
      try FileManager.default.createDirectory(
        atPath: path,
        withIntermediateDirectories: true
      )
      try Data([1]).write(to: URL(filePath: "\(path)/mine"))
      #expect {
        _ = try AtomicFolder(path)
      } throws: {
        "\($0)"
          == "\(path): it exists already. Choose another name, or say that it is to be replaced."
      }
      #expect {
        _ = try AtomicFolder(path, replacingFolderWith: "karat.json")
      } throws: {
        "\($0)"
          == "\(path): it exists already and holds no karat.json, so it is not certain that it"
          + " may go. Choose another name, or remove it yourself."
      }
      #expect(try names(in: path) == ["mine"])

      try Data([2]).write(to: URL(filePath: "\(path)/karat.json"))
      let output = try AtomicFolder(path, replacingFolderWith: "karat.json")
      let file = try output.file("new")
      try file.commit()
      #expect(try names(in: path) == ["karat.json", "mine"])
      try output.commit()
      #expect(try names(in: path) == ["new"])
      #expect(try names(in: folder) == ["model"])
    }
  }

  @Test func keepsWhatCameInTheMeantime() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/model"
      let output = try AtomicFolder(path)
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try Data([1]).write(to: URL(filePath: "\(path)/mine"))
      do throws(FileError) {
        try output.commit()
        Issue.record("it replaced a folder that is not ours")
      } catch {
        #expect(error.kind == .exists)
      }
      #expect(try names(in: folder) == ["model"])
      #expect(try names(in: path) == ["mine"])
    }
  }
}

@Suite struct ReadingTests {
  @Test func readsAndMapsTheSame() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/file"
      let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try Data(bytes).write(to: URL(filePath: path))
      let file = try ReadableFile(path)
      let mapped = try MappedFile(path)
      #expect(file.byteCount == bytes.count)
      #expect(mapped.bytes.elementsEqual(bytes))
      #expect(try file.bytes(777..<99_999) == Array(bytes[777..<99_999]))
      #expect(try file.bytes(5..<5) == [])
      #expect {
        _ = try file.bytes(99_999..<100_001)
      } throws: {
        "\($0)" == "\(path): it holds 100000 bytes; the bytes 99999..<100001 were needed."
      }
      #expect {
        _ = try ReadableFile.contents(of: path, limit: 99_999)
      } throws: {
        "\($0)" == "\(path): it holds 100000 bytes; at most 99999 were expected in a file of this"
          + " kind."
      }
    }
  }

  @Test func mapsAnEmptyFile() throws {
    try inTemporaryFolder { (folder) throws in
      try Data().write(to: URL(filePath: "\(folder)/empty"))
      #expect(try MappedFile("\(folder)/empty").bytes.isEmpty)
      #expect(try ReadableFile.contents(of: "\(folder)/empty") == [])
    }
  }

  @Test func saysWhereAFileBecameShorter() throws {
    try inTemporaryFolder { (folder) throws in
      let path = "\(folder)/file"
      try Data(count: 100).write(to: URL(filePath: path))
      let file = try ReadableFile(path)
      #expect(truncate(path, 60) == 0)
      #expect {
        _ = try file.bytes(50..<80)
      } throws: {
        "\($0)"
          == "\(path): it ends at byte 60, where bytes up to 80 were there when it was opened."
          + " Something else changes it; wait until that is done."
      }
    }
  }

  @Test func refusesWhatIsNoFile() throws {
    try inTemporaryFolder { (folder) throws in
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      for (path, message) in [
        (folder, "this is a folder; a file was needed."),
        (
          "\(folder)/pipe",
          "this is a pipe, a device or a socket; a regular file was needed. Copy it to a file first."
        ),
        ("\(folder)/none", "it cannot be opened: no such file or directory (2). Check the path."),
      ] {
        #expect(throws: FileError.self) { _ = try MappedFile(path) }
        #expect {
          _ = try ReadableFile(path)
        } throws: {
          "\($0)" == "\(path): \(message)"
        }
      }
    }
  }
}

@Suite struct DigestTests {
  @Test func digestsAsFIPS180Says() throws {
    var accumulator = SHA256Digest.Accumulator()
    #expect(
      accumulator.digest.description
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    for piece in ["a", "", "bc"] {
      Array(piece.utf8).withUnsafeBytes { accumulator.append($0) }
    }
    #expect(
      accumulator.digest.description
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    try inTemporaryFolder { (folder) throws in
      try Data("abc".utf8).write(to: URL(filePath: "\(folder)/abc"))
      #expect(try SHA256Digest.file("\(folder)/abc") == accumulator.digest)
    }
  }
}

@Suite struct ByteCursorTests {
  @Test func readsLittleEndianAndChecksTheEnd() throws {
    try [UInt8](1...12).withUnsafeBytes { bytes throws in
      var cursor = ByteCursor(bytes)
      #expect(try cursor.integer(UInt8.self) == 1)
      #expect(try cursor.integer(UInt32.self) == 0x0504_0302)
      #expect(try cursor.run(3).elementsEqual([6, 7, 8]))
      for count in [5, UInt64.max] {
        #expect {
          try cursor.run(count)
        } throws: {
          let truncation = $0 as? ByteCursor.Truncation
          return truncation?.offset == 8 && truncation?.needed == count
        }
      }
      #expect(throws: ByteCursor.Truncation.self) { try cursor.integer(UInt64.self) }
      #expect(cursor.left == 4)
      #expect(try cursor.run(4).count == 4)
      #expect(try cursor.run(0).isEmpty)
    }
  }
}
