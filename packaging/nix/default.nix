# SPDX-License-Identifier: MIT
#
# For Nix:  nix-build packaging/nix               the library and the command
#           nix-build packaging/nix -A module     the module, for nixpkgs' default kernel
#
# On NixOS, for a guest; the group and the rules come with the first:
#
#   let ivshmem = import /path/to/ivshmem/packaging/nix { inherit pkgs; kernel = config.boot.kernelPackages.kernel; };
#   in {
#     boot.extraModulePackages = [ ivshmem.module ];
#     services.udev.packages = [ ivshmem ];
#     users.groups.ivshmem = { };
#     environment.systemPackages = [ ivshmem ];
#   }
#
# Tested by "make check-packages": only that nix-instantiate of Debian 12 parses this
# file. Not tested: that it builds, and NixOS.

{ pkgs ? import <nixpkgs> { }, kernel ? pkgs.linuxPackages.kernel }:

let
  number = what: builtins.head (builtins.match ".*IVSHMEM_VERSION_${what}[\t ]+([0-9]+).*"
    (builtins.readFile ../../userspace/include/ivshmem/version.h));
  version = "${number "MAJOR"}.${number "MINOR"}.${number "PATCH"}";
  src = ../..;

  module = pkgs.stdenv.mkDerivation {
    pname = "ivshmem-module";
    inherit version src;
    nativeBuildInputs = kernel.moduleBuildDependencies;
    hardeningDisable = [ "pic" "format" ];
    makeFlags = [ "KDIR=${kernel.dev}/lib/modules/${kernel.modDirVersion}/build" "SHELL=${pkgs.bash}/bin/bash" ];
    buildFlags = [ "modules" ];
    installTargets = [ "install-modules" ];
    installFlags = [ "MODDIR=${placeholder "out"}/lib/modules/${kernel.modDirVersion}/updates" ];
    meta.license = pkgs.lib.licenses.gpl2Only;
  };
in
pkgs.stdenv.mkDerivation {
  pname = "ivshmem";
  inherit version src;
  nativeBuildInputs = with pkgs; [ gawk pkg-config scdoc ];
  buildInputs = with pkgs; [ json_c kmod liburing ncurses systemd udev util-linux ];
  makeFlags = [ "PREFIX=${placeholder "out"}" "KDIR=/nowhere" "SHELL=${pkgs.bash}/bin/bash" ];
  buildFlags = [ "userspace" ];
  installTargets = [ "install-userspace" ];
  passthru = { inherit module; };
  meta = {
    description = "Inter-VM shared memory of QEMU: library, command, server";
    license = pkgs.lib.licenses.mit;
    platforms = pkgs.lib.platforms.linux;
  };
}
